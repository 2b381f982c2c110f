#!/usr/bin/env bash
# OpenAI (NuGet) 2.15.0: when a server answers 503 to an upload from a stream without Seek, the exception says "retry failed", no status.
# The client sends the file again although the stream has been read: three more tries fail on this side, and what is thrown is an
# AggregateException about sending requests. The status and the text of the answer are not in it, and
# `catch (ClientResultException)`, the documented one, does not catch it. From a MemoryStream the same upload is repeated well.
# Matters for: batch files that are made while they are uploaded (pipes, GZipStream, a blob's stream).
# Conclusion: give UploadFile a seekable stream (FileStream), and catch AggregateException too.
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
using OpenAI.Files;

Console.WriteLine("OpenAI " + typeof(OpenAIClient).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);

async Task<(int Count, string Outcome)> Upload(Stream stream)
{
    using var server = new Stub((request, response, count) =>
    {
        response.StatusCode = 503;
        return """{"error":{"message":"disk full"}}""";
    });
    var options = new OpenAIClientOptions { Endpoint = new Uri(server.Url + "/v1") };
    try { await new OpenAIFileClient(new ApiKeyCredential("key"), options).UploadFileAsync(stream, "a.jsonl", FileUploadPurpose.Batch); }
    catch (Exception error) { return (server.Requests.Count, $"{error.GetType().Name}: {error.Message.ReplaceLineEndings(" ")}"); }
    return (server.Requests.Count, "uploaded");
}

var pipe = new System.IO.Pipelines.Pipe();
await pipe.Writer.WriteAsync(new byte[1000]);
pipe.Writer.Complete();
var seekable = await Upload(new MemoryStream(new byte[1000]));
var once = await Upload(pipe.Reader.AsStream());
return Report("ClientResultException with 503 and \"disk full\" in both cases", $"seekable: {seekable.Count} requests, {seekable.Outcome} | not seekable: {once.Count} request, {once.Outcome}",
    seekable.Count == 4 && seekable.Outcome.StartsWith("ClientResultException", StringComparison.Ordinal) && seekable.Outcome.Contains("disk full", StringComparison.Ordinal)
    && once.Count == 1 && once.Outcome.StartsWith("AggregateException", StringComparison.Ordinal) && !once.Outcome.Contains("503", StringComparison.Ordinal) && !once.Outcome.Contains("disk full", StringComparison.Ordinal));

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
