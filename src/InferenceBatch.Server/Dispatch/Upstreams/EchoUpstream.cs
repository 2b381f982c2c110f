using System.Buffers;
using System.Globalization;
using System.Text.Json;
using InferenceBatch.Lines;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// A built-in model for trials, which responds with the prompt at no cost. It can be slow and fail on purpose: a failure is
/// a 429, a 500 or a 408, selected by a seeded random number.
/// </summary>
/// <param name="settings">How slow it is and how often it fails.</param>
/// <param name="time">Measures the latency.</param>
internal sealed class EchoUpstream(EchoSettings settings, TimeProvider time) : IUpstream
{
    private readonly Random _random = new(settings.Seed);
    private long _answers;

    public async Task<UpstreamAnswer> SendAsync(string endpoint, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        // Lines that end immediately must not block the thread of the caller.
        await Task.Yield();
        if (settings.Latency > TimeSpan.Zero)
        {
            await Task.Delay(settings.Latency, time, cancellationToken);
        }

        if (settings.Fail > 0 && RollFailure() is { } failure)
        {
            return failure;
        }

        using var request = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = RequestLine.MaxDepth });
        string prompt = EchoPrompt.Read(endpoint, request.RootElement);
        string? model = request.RootElement.TryGetProperty("model", out JsonElement name) && name.ValueKind == JsonValueKind.String
            ? name.GetString() : null;
        string id = Interlocked.Increment(ref _answers).ToString(CultureInfo.InvariantCulture);
        var writer = new EchoWriter(id, model ?? "echo", time.GetUtcNow().ToUnixTimeSeconds());
        return Answer(200, json => writer.Write(json, endpoint, prompt));
    }

    public Task<UpstreamAnswer> ListModelsAsync(CancellationToken cancellationToken, bool withKey = true) => Task.FromResult(Answer(200, json =>
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        json.WriteStartObject();
        json.WriteString("id", "echo");
        json.WriteString("object", "model");
        json.WriteNumber("created", 0);
        json.WriteString("owned_by", "inference-batch");
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }));

    public void Dispose()
    {
    }

    private UpstreamAnswer? RollFailure()
    {
        int kind;
        lock (_random)
        {
            if (_random.NextDouble() >= settings.Fail)
            {
                return null;
            }

            kind = _random.Next(3);
        }

        (int status, string type, string message) = kind switch
        {
            0 => (429, "rate_limit_error", "The echo model is configured to throttle some requests."),
            1 => (500, "server_error", "The echo model is configured to fail for some requests."),
            _ => (408, "timeout_error", "The echo model is configured to time out for some requests."),
        };
        return Answer(status, json => Wire.WireWriter.WriteError(json, message, type, null, null), status == 429 ? TimeSpan.FromSeconds(1) : null);
    }

    private static UpstreamAnswer Answer(int status, Action<Utf8JsonWriter> write, TimeSpan? retryAfter = null)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions))
        {
            write(json);
        }

        byte[] pooled = ArrayPool<byte>.Shared.Rent(buffer.WrittenCount);
        buffer.WrittenSpan.CopyTo(pooled);
        return new UpstreamAnswer(status, pooled, buffer.WrittenCount) { RetryAfter = retryAfter };
    }
}
