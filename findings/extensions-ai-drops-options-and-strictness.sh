#!/usr/bin/env bash
# Microsoft.Extensions.AI.OpenAI (NuGet) 10.11.0: ChatOptions.TopK is dropped without a word, and a response type is
# not asked for strictly. Many servers behind this client know top_k, and ChatOptions has a field for it; the OpenAI adapter
# leaves it out of the request. GetResponseAsync<T>() sends the schema of T without "strict", so the service may answer with
# something else, and text behind the first JSON value of an answer is ignored: what is read may be the first of two drafts.
# Matters for: .NET programs that use a local server, and batch lines that are to repeat what such a program sends.
# Conclusion: look at the request that goes out; AdditionalProperties = { ["strict"] = true } makes the schema strict.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cat >check.csproj <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><NoWarn>OPENAI001;CA1416</NoWarn></PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.Extensions.AI.OpenAI" Version="[10.11.0]" />
    <PackageReference Include="Microsoft.Extensions.AI" Version="[10.11.0]" />
  </ItemGroup>
</Project>
XML
cat >Program.cs <<'CS'
using System.ClientModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.AI;

Console.WriteLine("Microsoft.Extensions.AI.OpenAI 10.11.0, as pinned, on .NET " + Environment.Version);

string sent = "";
using var server = new Stub((request, response, count) =>
    """{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"{\"label\":\"first\"} or rather {\"label\":\"second\"}"},"finish_reason":"stop"}]}""",
    body => sent = body);
IChatClient client = new OpenAI.Chat.ChatClient("m", new ApiKeyCredential("key"), new OpenAI.OpenAIClientOptions { Endpoint = new Uri(server.Url + "/v1") }).AsIChatClient();
ChatResponse<Answer> answer = await client.GetResponseAsync<Answer>("x", new ChatOptions { TopK = 40, Seed = 7 });
bool hasSeed = sent.Contains("\"seed\":7", StringComparison.Ordinal);
bool hasTopK = sent.Contains("top_k", StringComparison.OrdinalIgnoreCase) || sent.Contains("topK", StringComparison.Ordinal);
bool hasSchema = sent.Contains("json_schema", StringComparison.Ordinal);
bool isStrict = sent.Contains("strict", StringComparison.Ordinal);
await client.GetResponseAsync<Answer>("x", new ChatOptions { AdditionalProperties = new() { ["strict"] = true } });
bool canBeStrict = sent.Contains("\"strict\":true", StringComparison.Ordinal);
return Report("seed and top_k in the request, a strict schema, an exception for the answer",
    $"seed: {hasSeed}, top_k: {hasTopK}, json_schema: {hasSchema}, strict: {isStrict}, with AdditionalProperties: {canBeStrict}; read: {answer.Result.Label}",
    hasSeed && !hasTopK && hasSchema && !isStrict && canBeStrict && answer.Result.Label == "first");

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

    public Stub(Func<HttpListenerRequest, HttpListenerResponse, int, string> answer, Action<string> sent)
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
                sent(await new StreamReader(context.Request.InputStream).ReadToEndAsync());
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

internal sealed record Answer(string Label);
CS
nice dotnet build -c Release -v q --nologo >build.log 2>&1 || { cat build.log; exit 1; }
dotnet bin/Release/net10.0/check.dll
