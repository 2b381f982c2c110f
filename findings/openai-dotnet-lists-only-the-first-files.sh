#!/usr/bin/env bash
# OpenAI (NuGet) 2.15.0: GetFiles() asks for one page and drops has_more; there is no typed way to the rest.
# The batch list of the same package is a paged collection. The file list is not: whatever the service sends first is "all files",
# without an `after` parameter to ask for more. OpenAI's own page is up to 10,000 files, so nobody notices there; a service whose
# default page is 20 or 100 shows this client a small part, and clean-up jobs leave the rest behind.
# Matters for: services that page files, and programs that delete old batch files.
# Conclusion: a service should answer GET /files without a limit with 10,000 files, as documented by OpenAI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cat >check.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><NoWarn>OPENAI001;CA1416</NoWarn></PropertyGroup>
  <ItemGroup>
    <PackageReference Include="OpenAI" Version="[2.15.0]" />
  </ItemGroup>
</Project>
XML
cat >Program.cs <<'CS'
using System.ClientModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OpenAI;
using OpenAI.Batch;
using OpenAI.Files;

Console.WriteLine("OpenAI " + typeof(OpenAIClient).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);

using var server = new Stub((request, response, count) => request.RawUrl!.Contains("after", StringComparison.Ordinal)
    ? """{"object":"list","has_more":false,"data":[{"id":"b"}]}"""
    : """{"object":"list","has_more":true,"last_id":"a","data":[{"id":"a"}]}""");
var endpoint = new Uri(server.Url + "/v1");
int files = (await new OpenAIFileClient(new ApiKeyCredential("key"), new OpenAIClientOptions { Endpoint = endpoint }).GetFilesAsync()).Value.Count;
int pages = 0;
await foreach (var page in new BatchClient(new ApiKeyCredential("key"), new BatchClientOptions { Endpoint = endpoint }).GetBatchesAsync(null, null, null).GetRawPagesAsync())
{
    pages++;
}

return Report("2 files, as the batches have 2 pages", $"{files} file of 2; {pages} pages of batches; requests: {string.Join(", ", server.Requests.Select(request => request.Line))}", files == 1 && pages == 2);

static int Report(string expected, string seen, bool asDescribed)
{
    Console.WriteLine($"Expected: {expected}\nSeen:     {seen}");
    Console.WriteLine(asDescribed ? "As described." : "CHANGED: the behavior is no longer as described.");
    return asDescribed ? 0 : 1;
}

/// <summary>A server on a free port of the loopback address that records requests.</summary>
sealed class Stub : IDisposable
{
    private readonly HttpListener _listener;
    public string Url { get; }
    public List<(string Line, TimeSpan At)> Requests { get; } = [];

    public Stub(Func<HttpListenerRequest, HttpListenerResponse, int, string> answer)
    {
        var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        int port = ((IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        Url = $"http://127.0.0.1:{port}";
        _listener = new HttpListener();
        _listener.Prefixes.Add(Url + "/");
        _listener.Start();
        var clock = Stopwatch.StartNew();
        _ = Task.Run(async () =>
        {
            while (_listener.IsListening)
            {
                HttpListenerContext context;
                try { context = await _listener.GetContextAsync(); }
                catch (Exception) { return; }
                await context.Request.InputStream.CopyToAsync(Stream.Null);
                Requests.Add(($"{context.Request.HttpMethod} {context.Request.RawUrl}", clock.Elapsed));
                context.Response.ContentType = "application/json";
                byte[] body = Encoding.UTF8.GetBytes(answer(context.Request, context.Response, Requests.Count));
                context.Response.ContentLength64 = body.Length;
                await context.Response.OutputStream.WriteAsync(body);
                context.Response.Close();
            }
        });
    }

    public void Dispose() => _listener.Close();
}
CS
nice dotnet build -c Release -v q --nologo >build.log 2>&1 || { cat build.log; exit 1; }
dotnet bin/Release/net10.0/check.dll
