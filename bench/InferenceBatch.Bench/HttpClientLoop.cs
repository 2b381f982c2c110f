using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>
/// What a programmer writes in place of a batch service: some workers, each sending the next body and reading the
/// answer. Nothing is parsed, written or tried again.
/// </summary>
internal static class HttpClientLoop
{
    /// <summary>Lines sent before the clock starts.</summary>
    public const int WarmUp = 2_000;

    /// <summary>Prints the seconds that the lines took, as JSON.</summary>
    public static async Task RunAsync(Uri address, string requestsPath, int lines, int concurrency)
    {
        byte[][] bodies = [.. File.ReadLines(requestsPath).Take(lines).Select(BodyOf)];
        using var client = new HttpClient();
        var target = new Uri(address, "chat/completions");
        await SendAsync(client, target, bodies[..Math.Min(WarmUp, bodies.Length)], concurrency);
        long start = Stopwatch.GetTimestamp();
        await SendAsync(client, target, bodies, concurrency);
        Console.WriteLine(JsonSerializer.Serialize(new { seconds = Stopwatch.GetElapsedTime(start).TotalSeconds }));
    }

    private static async Task SendAsync(HttpClient client, Uri target, byte[][] bodies, int concurrency)
    {
        int next = -1;
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(_ => Task.Run(async () =>
        {
            int index;
            while ((index = Interlocked.Increment(ref next)) < bodies.Length)
            {
                using var content = new ByteArrayContent(bodies[index]);
                content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                using HttpResponseMessage response = await client.PostAsync(target, content);
                response.EnsureSuccessStatusCode();
                await response.Content.ReadAsByteArrayAsync();
            }
        })));
    }

    private static byte[] BodyOf(string line)
    {
        using var document = JsonDocument.Parse(line);
        return JsonSerializer.SerializeToUtf8Bytes(document.RootElement.GetProperty("body"));
    }
}
