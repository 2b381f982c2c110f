using System.Buffers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;

namespace InferenceBatch.Server.Statistics;

/// <summary>
/// The statistics of the lines of a batch: counts, latencies, tokens, errors and retries. Except for latencies and retries,
/// they can be counted again from the result files.
/// </summary>
/// <remarks>Not safe for several threads: the lock of the run guards it.</remarks>
internal sealed class LineStatistics
{
    private const string LatencyName = "latency_ms";
    private const string RetriesName = "retries";

    private readonly Histogram _latency = new();
    private readonly Histogram _inputTokens = new();
    private readonly Histogram _outputTokens = new();
    private readonly ErrorTally _errors = new();

    /// <summary>Lines that succeeded.</summary>
    public int Completed { get; private set; }

    /// <summary>Lines that failed.</summary>
    public int Failed { get; private set; }

    /// <summary>Lines that have a result.</summary>
    public int Done => Completed + Failed;

    /// <summary>The sum of the tokens.</summary>
    public LineUsage Usage { get; private set; }

    /// <summary>How often lines were retried.</summary>
    public RetryTally Retries { get; } = new();

    /// <summary>The statistics of a batch without finished lines.</summary>
    public static string None { get; } = new LineStatistics().ToJson();

    /// <summary>Adds the outcome of a line.</summary>
    /// <param name="line">The number of the input line.</param>
    /// <param name="outcome">Its outcome.</param>
    public void Add(int line, in LineOutcome outcome)
    {
        Completed += outcome.IsSuccess ? 1 : 0;
        Failed += outcome.IsSuccess ? 0 : 1;
        Usage += outcome.Usage;
        if (outcome.Latency is { } latency)
        {
            _latency.Add((long)Math.Ceiling(latency.TotalMilliseconds));
        }

        if (outcome.Usage.Any)
        {
            _inputTokens.Add(outcome.Usage.Input);
            _outputTokens.Add(outcome.Usage.Output);
        }

        if (!outcome.IsSuccess)
        {
            _errors.Add(line, outcome);
        }
    }

    /// <summary>Adds the latencies and retries of statistics that <see cref="ToJson"/> returned.</summary>
    public void AddStored(string json)
    {
        using var document = JsonDocument.Parse(json);
        _latency.Add(document.RootElement.GetProperty(LatencyName));
        if (document.RootElement.TryGetProperty(RetriesName, out JsonElement retries))
        {
            Retries.Add(retries);
        }
    }

    /// <summary>Returns the statistics as a JSON object, as they are stored and sent.</summary>
    public string ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions))
        {
            json.WriteStartObject();
            _latency.Write(json, LatencyName);
            _inputTokens.Write(json, "input_tokens");
            _outputTokens.Write(json, "output_tokens");
            _errors.Write(json);
            Retries.Write(json, RetriesName);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
