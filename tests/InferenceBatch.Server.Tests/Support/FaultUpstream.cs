using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>
/// An upstream on a real socket that responds to each request as the test specifies. It counts requests by prompt, and the
/// requests in flight.
/// </summary>
internal sealed class FaultUpstream : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Func<Call, Task> _answer;
    private int _atOnce;
    private int _mostAtOnce;

    private FaultUpstream(WebApplication app, Func<Call, Task> answer)
    {
        _app = app;
        _answer = answer;
    }

    /// <summary>The address for <c>--upstream</c>.</summary>
    public string Address => _app.Urls.First() + "/v1";

    /// <summary>The number of requests per prompt.</summary>
    public ConcurrentDictionary<string, int> Attempts { get; } = new();

    public ConcurrentQueue<(string Path, string? Authorization)> Heads { get; } = new();

    /// <summary>Responds to <c>GET /v1/models</c>. If it is null, the response is a 404.</summary>
    public Func<HttpContext, Task>? Models { get; init; }

    public int AtOnce => Volatile.Read(ref _atOnce);

    public int MostAtOnce => Volatile.Read(ref _mostAtOnce);

    public static async Task<FaultUpstream> StartAsync(Func<Call, Task> answer, int port = 0, Func<HttpContext, Task>? models = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        WebApplication app = builder.Build();
        var upstream = new FaultUpstream(app, answer) { Models = models };
        app.Run(upstream.HandleAsync);
        await app.StartAsync();
        return upstream;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task HandleAsync(HttpContext context)
    {
        if (HttpMethods.IsGet(context.Request.Method))
        {
            context.Response.StatusCode = 404;
            await (Models?.Invoke(context) ?? Task.CompletedTask);
            return;
        }

        int atOnce = Interlocked.Increment(ref _atOnce);
        for (int most = MostAtOnce; atOnce > most; most = MostAtOnce)
        {
            Interlocked.CompareExchange(ref _mostAtOnce, atOnce, most);
        }

        try
        {
            Heads.Enqueue((context.Request.Path, context.Request.Headers.Authorization));
            using JsonDocument body = await JsonDocument.ParseAsync(context.Request.Body);
            string prompt = body.RootElement.GetProperty("messages")[0].GetProperty("content").GetString()!;
            int attempt = Attempts.AddOrUpdate(prompt, 1, (_, count) => count + 1);
            await _answer(new Call(context, prompt, attempt));
        }
        finally
        {
            Interlocked.Decrement(ref _atOnce);
        }
    }

    /// <summary>A request and the ways to respond to it.</summary>
    internal sealed record Call(HttpContext Context, string Prompt, int Attempt)
    {
        public Task OkAsync() => AnswerAsync(200, $$$$"""
            {"id":"c-1","object":"chat.completion","created":1,"model":"test-model",
             "choices":[{"index":0,"message":{"role":"assistant","content":{{{{JsonSerializer.Serialize("re: " + Prompt)}}}} },"finish_reason":"stop"}],
             "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}}
            """);

        public async Task AnswerAsync(int status, string body, string contentType = "application/json", params (string Name, string Value)[] headers)
        {
            Context.Response.StatusCode = status;
            Context.Response.ContentType = contentType;
            foreach ((string name, string value) in headers)
            {
                Context.Response.Headers[name] = value;
            }

            await Context.Response.WriteAsync(body);
        }

        public Task Drop()
        {
            Context.Abort();
            return Task.CompletedTask;
        }

        /// <summary>Sends the beginning of a response, then closes the connection.</summary>
        public async Task DropInsideAsync()
        {
            byte[] part = Encoding.UTF8.GetBytes("""{"id":"c-1","choices":[""");
            Context.Response.ContentLength = 1000;
            await Context.Response.Body.WriteAsync(part);
            await Context.Response.Body.FlushAsync();
            Context.Abort();
        }

        /// <summary>Sends the beginning of a response, then nothing more.</summary>
        public async Task StallInsideAsync()
        {
            Context.Response.ContentLength = 1000;
            await Context.Response.Body.WriteAsync("""{"id":"c-1","choices":["""u8.ToArray());
            await Context.Response.Body.FlushAsync();
            await StallAsync();
        }

        /// <summary>Never responds. Ends when the caller gives up.</summary>
        public async Task StallAsync()
        {
            try
            {
                await Task.Delay(Timeout.Infinite, Context.RequestAborted);
            }
            catch (OperationCanceledException)
            {
            }
        }
    }
}
