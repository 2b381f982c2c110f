#!/usr/bin/env bash
# Anthropic (NuGet) 13.14.0: ResultsStreaming() never asks for the batch and never looks at results_url.
# The documents say to fetch the results from results_url, and the npm client (1.14.0) does: it reads the batch first, and follows the
# address to wherever it is. The .NET client puts the address together itself, /v1/messages/batches/{id}/results, and makes one request.
# Matters for: emulators and gateways whose results_url names another path: one client works, the other gets 404; and waits that
# rely on "not ended yet" being noticed: .NET shows whatever the results path answers.
# Conclusion: serve results at the fixed path as well as at results_url, and answer there with an error before the batch has ended.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cat >check.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><NoWarn>OPENAI001;CA1416</NoWarn></PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Anthropic" Version="[13.14.0]" />
  </ItemGroup>
</Project>
XML
cat >Program.cs <<'CS'
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Anthropic;

Console.WriteLine("Anthropic " + typeof(AnthropicClient).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);

using var server = new Stub((request, response, count) =>
{
    if (request.RawUrl!.EndsWith("/elsewhere", StringComparison.Ordinal)) { return "{\"custom_id\":\"a\",\"result\":{\"type\":\"canceled\"}}\n"; }
    if (request.RawUrl!.EndsWith("/results", StringComparison.Ordinal)) { response.StatusCode = 404; return "{}"; }
    return $$"""{"id":"msgbatch_1","type":"message_batch","processing_status":"ended","results_url":"http://{{request.UserHostName}}/elsewhere"}""";
});
string outcome = "no result";
try
{
    await foreach (var result in new AnthropicClient { ApiKey = "key", BaseUrl = server.Url }.Messages.Batches.ResultsStreaming("msgbatch_1")) { outcome = result.CustomID; }
}
catch (Exception error) { outcome = error.GetType().Name; }

return Report("a, read from results_url", $"{outcome}; requests: {string.Join(", ", server.Requests.Select(request => request.Line))}",
    server.Requests.Count == 1 && server.Requests[0].Line == "GET /v1/messages/batches/msgbatch_1/results" && outcome.Contains("NotFound", StringComparison.Ordinal));

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
