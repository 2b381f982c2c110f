using System.Buffers;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Statistics;

/// <summary>The outcome of a line, for the counts and statistics. Contains nothing of the request and the response.</summary>
/// <param name="StatusCode">The HTTP status of the response; null if there was none.</param>
/// <param name="Usage">The tokens of the response.</param>
/// <param name="Latency">How long the last attempt took; null if it is unknown, or if there was no response.</param>
internal readonly record struct LineOutcome(int? StatusCode, LineUsage Usage, TimeSpan? Latency)
{
    /// <summary>The error code of lines without a result when the batch expired.</summary>
    public const string ExpiredCode = "batch_expired";

    /// <summary>The error code of lines without a result when the batch was cancelled.</summary>
    public const string CancelledCode = "batch_cancelled";

    private const int MaxCode = 64;

    private static readonly SearchValues<char> s_codeCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:");

    public bool IsSuccess => StatusCode is >= 200 and < 300;

    /// <summary>The error code, a single word; null for a success.</summary>
    public string? ErrorCode { get; private init; }

    /// <summary>The message of the service for a line without a response. The message of an upstream is not kept, because it may quote the prompt.</summary>
    public string? Message { get; private init; }

    public static LineOutcome OfAnswer(int statusCode, ReadOnlySpan<byte> body, in LineUsage usage, TimeSpan latency)
    {
        var outcome = new LineOutcome(statusCode, usage, latency);
        return outcome.IsSuccess ? outcome : outcome with { ErrorCode = CodeOf(statusCode, ErrorReader.ReadBody(body.ToArray())) };
    }

    public static LineOutcome OfNoAnswer(string code, string message) => new() { ErrorCode = code, Message = message };

    /// <summary>Reads a line of a result file, and its ID.</summary>
    /// <param name="isSuccess">Whether it is a line of the output file.</param>
    /// <exception cref="JsonException">It is not a complete result line of that file.</exception>
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

    /// <summary>Returns the code of the upstream if it is a single word; otherwise it may be any text.</summary>
    private static string CodeOf(int statusCode, ServiceError? error) =>
        error is { Code: { Length: <= MaxCode } code } && code != "error" && !code.AsSpan().ContainsAnyExcept(s_codeCharacters)
            ? code : $"http_{statusCode}";
}
