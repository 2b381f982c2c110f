using System.Collections.Concurrent;
using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>A receiver of webhooks on a real socket, which responds as the test defines.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly WebApplication _app;
    private readonly Channel<Message> _messages = Channel.CreateUnbounded<Message>();

    private WebhookReceiver(WebApplication app) => _app = app;

    public string Url => _app.Urls.First() + "/hook?token=planted-secret-in-url";

    public ConcurrentQueue<Message> All { get; } = new();

    /// <param name="answer">Writes the response; gets the number of earlier messages. Null responds with 204.</param>
    public static async Task<WebhookReceiver> StartAsync(Func<HttpContext, int, Task>? answer = null, IPAddress? address = null, int port = 0)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(address ?? IPAddress.Loopback, port));
        WebApplication app = builder.Build();
        var receiver = new WebhookReceiver(app);
        int count = -1;
        app.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            var message = new Message(context.Request.Method, context.Request.Path, new HeaderDictionary(context.Request.Headers.ToDictionary()), body.ToArray());
            receiver.All.Enqueue(message);
            receiver._messages.Writer.TryWrite(message);
            int before = Interlocked.Increment(ref count);
            context.Response.StatusCode = 204;
            await (answer?.Invoke(context, before) ?? Task.CompletedTask);
        });
        await app.StartAsync();
        return receiver;
    }

    /// <summary>Returns the next message that was not returned yet, and waits for it if necessary.</summary>
    public Task<Message> NextAsync() => _messages.Reader.ReadAsync().AsTask().WaitAsync(s_patience);

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    internal sealed record Message(string Method, string Path, IHeaderDictionary Headers, byte[] Body)
    {
        public string Id => Headers["webhook-id"].Single()!;
    }
}
