using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace InferenceBatch.Bench;

/// <summary>
/// An OpenAI-compatible service that answers every request with the same completion, at once or after a delay. <c>GET /v1/held</c> returns
/// "COUNT SECONDS": the number of requests and the total time until their answers.
/// </summary>
internal static class Upstream
{
    private static readonly byte[] s_answer = Encoding.UTF8.GetBytes("""
        {"id":"chatcmpl-000000000000000000000001","object":"chat.completion","created":1770000000,"model":"instant","choices":[{"index":0,"message":{"role":"assistant","content":"billing"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":1,"total_tokens":121}}
        """);

    private static long s_count;
    private static long s_held;

    public static async Task RunAsync(TimeSpan latency)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, 0);
            options.Limits.MaxRequestBodySize = null; // It also accepts uploads of full batch files.
        });
        WebApplication app = builder.Build();
        app.Run(context => HttpMethods.IsGet(context.Request.Method) ? SayAsync(context) : AnswerAsync(context, latency));
        await app.StartAsync();
        Console.WriteLine("listening on " + app.Urls.First());
        await app.WaitForShutdownAsync();
    }

    private static async Task AnswerAsync(HttpContext context, TimeSpan latency)
    {
        long start = Stopwatch.GetTimestamp();
        Interlocked.Increment(ref s_count);
        await context.Request.Body.CopyToAsync(Stream.Null);
        if (latency > TimeSpan.Zero)
        {
            await Task.Delay(latency);
        }

        Interlocked.Add(ref s_held, Stopwatch.GetElapsedTime(start).Ticks);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = s_answer.Length;
        await context.Response.Body.WriteAsync(s_answer);
    }

    private static Task SayAsync(HttpContext context) => context.Response.WriteAsync(string.Create(
        CultureInfo.InvariantCulture, $"{Interlocked.Read(ref s_count)} {TimeSpan.FromTicks(Interlocked.Read(ref s_held)).TotalSeconds}"));
}
