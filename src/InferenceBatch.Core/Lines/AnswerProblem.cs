using System.Globalization;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>Why the body of a response with a success status is not an answer.</summary>
/// <param name="Error">The error of the service, or what is missing.</param>
/// <param name="StatusCode">The HTTP status that the body itself names, 400 to 599; null if it names none.</param>
public sealed record AnswerProblem(ServiceError Error, int? StatusCode)
{
    /// <summary>The code if the service gives none.</summary>
    public const string NoAnswerCode = "no_answer";

    /// <summary>
    /// The HTTP status of such a body if it names no status: Bad Gateway, which is temporary. Clients and the local
    /// service use it to decide whether to retry.
    /// </summary>
    private const int AssumedStatus = 502;

    /// <summary>The HTTP status of the error in the body.</summary>
    public int EffectiveStatus => StatusCode ?? AssumedStatus;

    /// <summary>A problem for which the service gives no code.</summary>
    /// <param name="message">What is missing.</param>
    /// <param name="status">The equivalent HTTP status; null if there is none.</param>
    public static AnswerProblem NoAnswer(string message, int? status = null) => new(new ServiceError(NoAnswerCode, message), status);

    /// <summary>Reads the service's error from a body that is not an answer.</summary>
    /// <param name="body">The whole body, one JSON value.</param>
    /// <param name="otherwise">The message if the body has none.</param>
    internal static AnswerProblem Of(ReadOnlySpan<byte> body, string otherwise)
    {
        using JsonDocument document = Parse(body);
        return Of(document.RootElement, otherwise);
    }

    /// <param name="holder">An object with an error in it, such as a body or a choice.</param>
    /// <param name="otherwise">The message if the error has none.</param>
    internal static AnswerProblem Of(JsonElement? holder, string otherwise)
    {
        int? status = HttpErrorStatus.Read(holder);
        ServiceError? error = ErrorReader.Read(holder);
        string? code = error?.Code;
        if (code is null or ErrorReader.NoCode && status is not null)
        {
            code = status?.ToString(CultureInfo.InvariantCulture); // The status is more specific.
        }

        return new AnswerProblem(new ServiceError(code ?? NoAnswerCode, error is { Message.Length: > 0 } ? error.Message : otherwise, error?.Param), status);
    }

    internal static JsonDocument Parse(ReadOnlySpan<byte> body) =>
        JsonDocument.Parse(body.ToArray(), new JsonDocumentOptions { MaxDepth = RequestLine.MaxDepth + 8 });
}
