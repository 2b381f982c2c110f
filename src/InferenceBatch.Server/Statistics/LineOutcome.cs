using System.Buffers;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Statistics;

/// <summary>How a line ended, as far as it is counted. Holds nothing of what was asked or answered.</summary>
/// <param name="StatusCode">The answer's HTTP status; null where there was no answer.</param>
/// <param name="Usage">The answer's tokens.</param>
/// <param name="Latency">How long the last attempt took; null where it is not known any more, or nothing was answered.</param>
internal readonly record struct LineOutcome(int? StatusCode, LineUsage Usage, TimeSpan? Latency)
{
    /// <summary>The code of lines that had not ended when the batch expired.</summary>
    public const string ExpiredCode = "batch_expired";

    /// <summary>The code of lines that had not ended when the batch was cancelled.</summary>
    public const string CancelledCode = "batch_cancelled";

    private const int LongestCode = 64;

    private static readonly SearchValues<char> s_codeCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:");

    public bool IsSuccess => StatusCode is >= 200 and < 300;

    /// <summary>One word for what went wrong; null for a success.</summary>
    public string? ErrorCode { get; private init; }

    /// <summary>The service's own sentence for a line without an answer. An upstream's may quote the prompt, and is not kept here.</summary>
    public string? Message { get; private init; }

    public static LineOutcome OfAnswer(int statusCode, ReadOnlySpan<byte> body, in LineUsage usage, TimeSpan latency)
    {
        var outcome = new LineOutcome(statusCode, usage, latency);
        return outcome.IsSuccess ? outcome : outcome with { ErrorCode = CodeOf(statusCode, ErrorReader.ReadBody(body.ToArray())) };
    }

    public static LineOutcome OfNoAnswer(string code, string message) => new() { ErrorCode = code, Message = message };

    /// <summary>Reads a line of a result file, and its id.</summary>
    /// <param name="isSuccess">Whether it is one of the output file.</param>
    /// <exception cref="JsonException">It is no whole result line of that file.</exception>
    public static LineOutcome ReadResultLine(ReadOnlySpan<byte> line, bool isSuccess, out ReadOnlySpan<byte> id)
    {
        LineUsage usage = LineUsage.ReadResultLine(line, out id, out int? statusCode);
        var outcome = new LineOutcome(statusCode, usage, null);
        return outcome.IsSuccess != isSuccess ? throw new JsonException() : isSuccess ? outcome : ReadErrorLine(line, outcome);
    }

    private static LineOutcome ReadErrorLine(ReadOnlySpan<byte> line, in LineOutcome outcome)
    {
        using var document = JsonDocument.Parse(line.ToArray(), new JsonDocumentOptions { MaxDepth = RequestLine.MaxDepth + 2 });
        if (outcome.StatusCode is { } status)
        {
            return outcome with { ErrorCode = CodeOf(status, ErrorReader.Read(document.RootElement.GetProperty("response").GetProperty("body"))) };
        }

        ServiceError error = ErrorReader.Read(document.RootElement) ?? throw new JsonException();
        return OfNoAnswer(error.Code, error.Message);
    }

    /// <summary>The upstream's own word where it is one, and not a text that may be anything.</summary>
    private static string CodeOf(int statusCode, ServiceError? error) =>
        error is { Code: { Length: <= LongestCode } code } && code != "error" && !code.AsSpan().ContainsAnyExcept(s_codeCharacters)
            ? code : $"http_{statusCode}";
}
