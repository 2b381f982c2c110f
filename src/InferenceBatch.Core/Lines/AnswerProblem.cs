using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>Why a body that came with a success status is not an answer.</summary>
/// <param name="Error">What the service says, or what is missing.</param>
/// <param name="StatusCode">The HTTP status that the body itself names, 400 to 599; null when it names none.</param>
public sealed record AnswerProblem(ServiceError Error, int? StatusCode)
{
    /// <summary>The code where the service gives none.</summary>
    public const string NoAnswerCode = "no_answer";

    /// <summary>
    /// The HTTP status of such a body if it names no status: Bad Gateway, which is temporary. Clients and the local
    /// service decide by it whether another try is worth it.
    /// </summary>
    private const int AssumedStatus = 502;

    /// <summary>The HTTP status of the error in the body.</summary>
    public int EffectiveStatus => StatusCode ?? AssumedStatus;

    /// <summary>A problem that the service gives no code for.</summary>
    /// <param name="message">What is missing.</param>
    /// <param name="status">The HTTP status that it stands for; null when it stands for none.</param>
    public static AnswerProblem NoAnswer(string message, int? status = null) => new(new ServiceError(NoAnswerCode, message), status);
}
