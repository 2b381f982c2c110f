using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>Why a body that came with a success status is not an answer.</summary>
/// <param name="Error">What the service says, or what is missing.</param>
/// <param name="StatusCode">The HTTP status that the body itself names, 400 to 599; null when it names none.</param>
public sealed record AnswerProblem(ServiceError Error, int? StatusCode)
{
    /// <summary>The code where the service gives none.</summary>
    public const string NoAnswerCode = "no_answer";

    /// <summary>The problem of a body that is not a JSON object.</summary>
    public static AnswerProblem NotAnObject { get; } = new(new ServiceError(NoAnswerCode, "The body of the answer is not a JSON object."), null);
}
