#!/usr/bin/env bash
# Azure.AI.OpenAI (NuGet) 2.1.0 beside OpenAI 2.15.0: everything restores and builds, and GetBatchClient() throws TypeLoadException.
# 2.1.0 asks for OpenAI 2.1.0 or later, so NuGet says nothing when another package or the program
# itself brings 2.15.0. The file client of the pair works; the batch client's type cannot be loaded, at its first use only.
# Matters for: programs that upload to Azure, find the upload in order, and fail at the batch, at night.
# Conclusion: pin OpenAI to 2.1.0 beside it, and make the batch client when the program starts.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cat >check.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><NoWarn>OPENAI001;CA1416</NoWarn></PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Azure.AI.OpenAI" Version="[2.1.0]" />
    <PackageReference Include="OpenAI" Version="[2.15.0]" />
  </ItemGroup>
</Project>
XML
cat >Program.cs <<'CS'
using System.ClientModel;
using Azure.AI.OpenAI;

Console.WriteLine("Azure.AI.OpenAI " + typeof(AzureOpenAIClient).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);
Console.WriteLine("OpenAI " + typeof(OpenAI.OpenAIClient).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);

var client = new AzureOpenAIClient(new Uri("http://127.0.0.1:9"), new ApiKeyCredential("key")); // nothing is sent
string files = Try(() => client.GetOpenAIFileClient());
string batches = Try(() => client.GetBatchClient());
return Report("both clients are made", $"GetOpenAIFileClient: {files}; GetBatchClient: {batches}", files == "made" && batches == "TypeLoadException");

[System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
static string Try(Func<object> make)
{
    try { make(); return "made"; }
    catch (Exception error) { return error.GetType().Name; }
}

static int Report(string expected, string seen, bool asDescribed)
{
    Console.WriteLine($"Expected: {expected}\nSeen:     {seen}");
    Console.WriteLine(asDescribed ? "As described." : "CHANGED: the behavior is no longer as described.");
    return asDescribed ? 0 : 1;
}
CS
nice dotnet build -c Release -v q --nologo >build.log 2>&1 || { cat build.log; exit 1; }
dotnet bin/Release/net10.0/check.dll
