using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>
/// The code that a programmer writes instead of using a batch service: workers that send the next body and read the answer. They parse,
/// write and retry nothing.
/// </summary>
internal static class HttpClientLoop
{
    /// <summary>The number of lines that are sent before the measurement.</summary>
    public const int WarmUp = 2_000;

    /// <summary>Sends the lines and prints the time in seconds as JSON.</summary>
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
