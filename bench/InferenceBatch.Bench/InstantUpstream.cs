using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace InferenceBatch.Bench;

/// <summary>An OpenAI-compatible service that answers every request at once with the same completion.</summary>
internal static class InstantUpstream
{
    private static readonly byte[] s_answer = Encoding.UTF8.GetBytes("""
        {"id":"chatcmpl-000000000000000000000001","object":"chat.completion","created":1770000000,"model":"instant","choices":[{"index":0,"message":{"role":"assistant","content":"billing"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":1,"total_tokens":121}}
        """);

    public static async Task RunAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, 0);
            options.Limits.MaxRequestBodySize = null; // It takes whole batch files too.
        });
        WebApplication app = builder.Build();
        app.Run(AnswerAsync);
        await app.StartAsync();
        Console.WriteLine("listening on " + app.Urls.First());
        await app.WaitForShutdownAsync();
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        await context.Request.Body.CopyToAsync(Stream.Null);
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = s_answer.Length;
        await context.Response.Body.WriteAsync(s_answer);
    }
}
