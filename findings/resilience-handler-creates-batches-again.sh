#!/usr/bin/env bash
# Microsoft.Extensions.Http.Resilience (NuGet) 10.11.0: AddStandardResilienceHandler() sends a slow POST again, and
# turns a 429 into a timeout. The handler that templates add has 10 s for a try, 30 s in all, and retries every method. A create
# or an upload that takes 12 s is cut off and sent three times; the service has taken all three, and the caller gets a
# TimeoutRejectedException. A 429 with "Retry-After: 300" is waited for inside the 30 s: the caller never sees the 429.
# A good guess is that POST is not retried, and that an answer which came is handed on.
# Matters for: .NET programs that reach a Batch API through IHttpClientFactory; batches are made and paid for twice or more.
# Conclusion: options.Retry.DisableForUnsafeHttpMethods() and longer timeouts for such clients; before a create is repeated, look
# for the batch that may exist.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cat >check.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><NoWarn>OPENAI001;CA1416</NoWarn></PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Extensions.Http.Resilience" Version="[10.11.0]" />
  </ItemGroup>
</Project>
XML
cat >Program.cs <<'CS'
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;

Console.WriteLine("Microsoft.Extensions.Http.Resilience 10.11.0, as pinned, on .NET " + Environment.Version);

var services = new ServiceCollection();
services.AddHttpClient("batches").AddStandardResilienceHandler();
IHttpClientFactory clients = services.BuildServiceProvider().GetRequiredService<IHttpClientFactory>();
async Task<(int Count, string Outcome)> Post(Func<HttpListenerResponse, string> answer)
{
    using var server = new Stub((request, response, count) => answer(response));
    try
    {
        using HttpResponseMessage response = await clients.CreateClient("batches").PostAsync(server.Url + "/v1/batches", new StringContent("{}"));
        return (server.Requests.Count, ((int)response.StatusCode).ToString());
    }
    catch (Exception error) { return (server.Requests.Count, error.GetType().Name); }
}

Task<(int Count, string Outcome)> slowCall = Post(response => { Thread.Sleep(12_000); return "{}"; });
Task<(int Count, string Outcome)> limitedCall = Post(response => { response.StatusCode = 429; response.Headers["Retry-After"] = "300"; return "{}"; });
var slow = await slowCall;
var limited = await limitedCall;
return Report("a create of 12 s: 1 request; 429 with Retry-After 300: 429", $"a create of 12 s: {slow.Count} requests, {slow.Outcome}; 429: {limited.Count} request, {limited.Outcome}",
    slow.Count >= 2 && slow.Outcome == "TimeoutRejectedException" && limited.Count == 1 && limited.Outcome == "TimeoutRejectedException");

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
