#!/usr/bin/env bash
# Microsoft.ML.Tokenizers (NuGet) 2.0.1: "<|endoftext|>" written by a user counts as one token, the end-of-text token itself.
# tiktoken and SharpToken refuse such text unless the caller allows it, and count several tokens when it is taken as plain text, as a
# message of a user should be. CountTokens() of this package has no such switch: the text becomes id 199999.
# Matters for: token estimates, and truncation by tokens: a cut behind the marker keeps an end of text in the middle of a prompt.
# Conclusion: where prompts hold markers, split the text at them before counting, or add the difference.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cat >check.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><NoWarn>OPENAI001;CA1416</NoWarn></PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.ML.Tokenizers" Version="[2.0.1]" />
    <PackageReference Include="Microsoft.ML.Tokenizers.Data.O200kBase" Version="[2.0.1]" />
    <PackageReference Include="SharpToken" Version="[2.0.6]" />
  </ItemGroup>
</Project>
XML
cat >Program.cs <<'CS'
using Microsoft.ML.Tokenizers;
using SharpToken;

Console.WriteLine("Microsoft.ML.Tokenizers " + typeof(TiktokenTokenizer).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);
Console.WriteLine("SharpToken 2.0.6, as pinned");

const string Text = "The file ends with <|endoftext|> here.";
var ids = TiktokenTokenizer.CreateForEncoding("o200k_base").EncodeToIds(Text);
var sharp = GptEncoding.GetEncoding("o200k_base");
string byDefault;
try { byDefault = sharp.CountTokens(Text).ToString(); }
catch (ArgumentException) { byDefault = "ArgumentException"; }
int plain = sharp.Encode(Text, disallowedSpecial: new HashSet<string>()).Count;
return Report("an exception, or the number for plain text", $"{ids.Count} tokens, with id 199999: {ids.Contains(199999)}; SharpToken by default: {byDefault}; as plain text: {plain}",
    ids.Contains(199999) && ids.Count < plain && byDefault == "ArgumentException");

static int Report(string expected, string seen, bool asDescribed)
{
    Console.WriteLine($"Expected: {expected}\nSeen:     {seen}");
    Console.WriteLine(asDescribed ? "As described." : "CHANGED: the behavior is no longer as described.");
    return asDescribed ? 0 : 1;
}
CS
nice dotnet build -c Release -v q --nologo >build.log 2>&1 || { cat build.log; exit 1; }
dotnet bin/Release/net10.0/check.dll
