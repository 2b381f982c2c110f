#!/usr/bin/env bash
# OpenAI (NuGet) 2.15.0: one file with a status or purpose the client does not know makes GetFiles() throw for all files.
# FileStatus is an enum read strictly: "pending", "deleting" or any new word is an ArgumentOutOfRangeException, and so is a new
# purpose. A file of the list that has none of these fields is fine: it is called Uploaded, for Assistants. FinishReason of a
# chat is read the same way: "error" or null in an answer throws after the tokens are paid for.
# Matters for: compatible services (statuses of their own), and accounts in which another product keeps its files.
# Conclusion: a service for this client uses uploaded, processed, error and OpenAI's purposes only; read lists by the
# protocol methods, GetFilesAsync(purpose, options), whose result is raw JSON.
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
using OpenAI.Chat;
using OpenAI.Files;

Console.WriteLine("OpenAI " + typeof(OpenAIClient).Assembly.GetCustomAttributes(false).OfType<System.Reflection.AssemblyInformationalVersionAttribute>().First().InformationalVersion.Split('+')[0] + " on .NET " + Environment.Version);

const string Good = """{"id":"file-1","object":"file","bytes":1,"created_at":1,"filename":"a.jsonl","purpose":"batch","status":"processed"}""";
async Task<string> Call(string answer, Func<OpenAIClientOptions, Task<string>> use)
{
    using var server = new Stub((request, response, count) => answer);
    try { return await use(new OpenAIClientOptions { Endpoint = new Uri(server.Url + "/v1") }); }
    catch (Exception error) { return error.GetType().Name; }
}

Task<string> Files(string other) => Call($$"""{"object":"list","data":[{{Good}},{{other}}]}""",
    async options => (await new OpenAIFileClient(new ApiKeyCredential("key"), options).GetFilesAsync()).Value.Count + " files");
Task<string> Chat(string reason) => Call($$"""{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":{{reason}}}]}""",
    async options => (await new ChatClient("m", new ApiKeyCredential("key"), options).CompleteChatAsync("x")).Value.FinishReason.ToString());

string known = await Files(Good);
string status = await Files(Good.Replace("processed", "pending", StringComparison.Ordinal));
string purpose = await Files(Good.Replace("\"batch\"", "\"responses\"", StringComparison.Ordinal));
string bare = await Files("""{"id":"file-2"}""");
string stop = await Chat("\"stop\"");
string failed = await Chat("\"error\"");
return Report("2 files each time, with a value that says unknown; Stop and error",
    $"known: {known}; status pending: {status}; purpose responses: {purpose}; no fields: {bare}; finish_reason stop: {stop}; error: {failed}",
    known == "2 files" && bare == "2 files" && stop == "Stop" && status == purpose && status == failed && failed == "ArgumentOutOfRangeException");

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
