#!/usr/bin/env bash
# OpenAI (NuGet) 2.15.0: a call is tried four times within milliseconds; there is no backoff between the tries.
# The retry policy of System.ClientModel waits 0.8, 1.6 and 3.2 seconds, and so it does when it is set explicitly
# (RetryPolicy = new ClientRetryPolicy(3)). The one the client uses by default does not wait at all: a POST that creates a batch
# is sent four times in the time of one round trip. It honors Retry-After in whole seconds only; retry-after-ms, which
# OpenAI's client for JavaScript reads first, and "2.5" count for nothing.
# Matters for: every .NET program that meets a restart or a rate limit: all tries are over before anything can have changed.
# Conclusion: set ClientPipelineOptions.RetryPolicy yourself; a server should send Retry-After in whole seconds with 429 and 503.
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
using System.ClientModel.Primitives;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OpenAI;
using OpenAI.Files;

Console.WriteLine("OpenAI " + typeof(OpenAIClient).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);
Console.WriteLine("System.ClientModel " + typeof(ClientRetryPolicy).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);

async Task<(int Count, int Milliseconds)> Try(string? header, string value, PipelinePolicy? policy)
{
    using var server = new Stub((request, response, count) =>
    {
        response.StatusCode = 503;
        if (header is not null) { response.Headers[header] = value; }
        return "{}";
    });
    var options = new OpenAIClientOptions { Endpoint = new Uri(server.Url + "/v1") };
    if (policy is not null) { options.RetryPolicy = policy; }
    try { await new OpenAIFileClient(new ApiKeyCredential("key"), options).GetFileAsync("file-1"); }
    catch (ClientResultException) { }
    return (server.Requests.Count, (int)(server.Requests[^1].At - server.Requests[0].At).TotalMilliseconds);
}

await Try(null, "", null); // warms up
var usual = await Try(null, "", null);
var explicitly = await Try(null, "", new ClientRetryPolicy(2));
var milliseconds = await Try("retry-after-ms", "2500", null);
var fraction = await Try("Retry-After", "2.5", null);
var seconds = await Try("Retry-After", "1", null);
return Report("0.8 s and more between tries, and 2.5 s where the service asks for it",
    $"by default {usual.Count} tries in {usual.Milliseconds} ms; with new ClientRetryPolicy(2) {explicitly.Count} in {explicitly.Milliseconds} ms; retry-after-ms 2500: {milliseconds.Milliseconds} ms; Retry-After 2.5: {fraction.Milliseconds} ms; Retry-After 1: {seconds.Milliseconds} ms",
    usual.Count == 4 && usual.Milliseconds < 700 && explicitly.Count == 3 && explicitly.Milliseconds > 2000 && milliseconds.Milliseconds < 700 && fraction.Milliseconds < 700 && seconds.Milliseconds > 2500);

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
