using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace InferenceBatch.Bench;

/// <summary>
/// An OpenAI-compatible service that fails, limits or queues requests, depending on <see cref="UpstreamTrouble"/>.
/// <c>GET /v1/tally</c> returns an <see cref="UpstreamTally"/> as JSON.
/// </summary>
internal sealed class FaultyUpstream(UpstreamTrouble trouble, TimeSpan latency, double number) : IDisposable
{
    private static readonly byte[] s_answer = Encoding.UTF8.GetBytes("""
        {"id":"chatcmpl-1","object":"chat.completion","created":1770000000,"model":"faulty","choices":[{"index":0,"message":{"role":"assistant","content":"billing"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":1,"total_tokens":121}}
        """);

    private static readonly byte[] s_failure = Encoding.UTF8.GetBytes("""{"error":{"code":500,"message":"The model failed.","type":"server_error"}}""");

    private static readonly byte[] s_limited = Encoding.UTF8.GetBytes("""{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached.","type":"requests"}}""");

    private readonly ConcurrentDictionary<ulong, bool> _failed = new();
    private readonly SemaphoreSlim _slots = new(trouble == UpstreamTrouble.Slots ? (int)number : int.MaxValue);
    private readonly Lock _gate = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private UpstreamTally _tally = new();
    private TimeSpan _counted;
    private double _tokens = UpstreamTally.Burst;
    private TimeSpan _refilled;

    /// <param name="trouble">The kind of fault.</param>
    /// <param name="latency">The duration of an answer, without the wait for a slot.</param>
    /// <param name="number">The share of requests or lines that fail, the requests per second, or the slots.</param>
    public static async Task RunAsync(UpstreamTrouble trouble, TimeSpan latency, double number)
    {
        using var upstream = new FaultyUpstream(trouble, latency, number);
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0));
        WebApplication app = builder.Build();
        app.Run(context => HttpMethods.IsGet(context.Request.Method) ? upstream.ReportAsync(context) : upstream.HandleAsync(context));
        await app.StartAsync();
        Console.WriteLine("listening on " + app.Urls.First());
        await app.WaitForShutdownAsync();
    }

    public void Dispose() => _slots.Dispose();

    private async Task HandleAsync(HttpContext context)
    {
        ulong line = await ReadAsync(context.Request);
        Count(tally => tally with { Requests = tally.Requests + 1, InFlight = tally.InFlight + 1 });
        try
        {
            await AnswerAsync(context, line);
        }
        catch (OperationCanceledException)
        {
            Count(tally => tally with { CutOff = tally.CutOff + 1 });
        }
        finally
        {
            Count(tally => tally with { InFlight = tally.InFlight - 1 });
        }
    }

    private async Task AnswerAsync(HttpContext context, ulong line)
    {
        if (IsLimited())
        {
            if (trouble is UpstreamTrouble.LimitedWithRetryAfter or UpstreamTrouble.QuotaWithRetryAfter)
            {
                context.Response.Headers.RetryAfter = "1";
            }

            Count(tally => tally with { Limited = tally.Limited + 1 });
            await WriteAsync(context, StatusCodes.Status429TooManyRequests, s_limited);
            return;
        }

        // A server that queues never answers 429: a request waits until a slot is free or the caller disconnects.
        await _slots.WaitAsync(context.RequestAborted);
        long begun = Stopwatch.GetTimestamp();
        try
        {
            await Task.Delay(latency, context.RequestAborted);
        }
        finally
        {
            _slots.Release();
        }

        double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        if (Fails(line))
        {
            Count(tally => tally with { Failed = tally.Failed + 1 });
            await WriteAsync(context, StatusCodes.Status500InternalServerError, s_failure);
            return;
        }

        Count(tally => tally with { Answered = tally.Answered + 1, AnswerSeconds = tally.AnswerSeconds + seconds });
        await WriteAsync(context, StatusCodes.Status200OK, s_answer);
    }

    private bool IsLimited() => trouble switch
    {
        UpstreamTrouble.Limited or UpstreamTrouble.LimitedWithRetryAfter => Random.Shared.NextDouble() < number,
        UpstreamTrouble.Quota or UpstreamTrouble.QuotaWithRetryAfter => !TakeToken(),
        _ => false,
    };

    private bool Fails(ulong line) => trouble switch
    {
        UpstreamTrouble.FailsOnce => IsChosen(line) && _failed.TryAdd(line, true),
        UpstreamTrouble.FailsAlways => IsChosen(line) && (_failed.TryAdd(line, true) || true),
        _ => false,
    };

    /// <summary>The choice depends only on the line, so that the same lines fail in each round.</summary>
    private bool IsChosen(ulong line) => line % 10_000 < number * 10_000;

    /// <summary>A token bucket with at most <see cref="UpstreamTally.Burst"/> tokens, which is refilled at the rate of the quota.</summary>
    private bool TakeToken()
    {
        lock (_gate)
        {
            TimeSpan now = Stopwatch.GetElapsedTime(_start);
            _tokens = Math.Min(UpstreamTally.Burst, _tokens + ((now - _refilled).TotalSeconds * number));
            _refilled = now;
            bool has = _tokens >= 1;
            _tokens -= has ? 1 : 0;
            return has;
        }
    }

    private void Count(Func<UpstreamTally, UpstreamTally> change)
    {
        lock (_gate)
        {
            TimeSpan now = Stopwatch.GetElapsedTime(_start);
            _tally = change(_tally with { InFlightSeconds = _tally.InFlightSeconds + (_tally.InFlight * (now - _counted).TotalSeconds), Seconds = now.TotalSeconds });
            _counted = now;
        }
    }

    private Task ReportAsync(HttpContext context)
    {
        Count(tally => tally);
        return context.Response.WriteAsJsonAsync(_tally with { FailingLines = _failed.Count });
    }

    private static async Task<ulong> ReadAsync(HttpRequest request)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        return BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(body.GetBuffer().AsSpan(0, (int)body.Length)));
    }

    private static async Task WriteAsync(HttpContext context, int status, byte[] body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body);
    }
}
