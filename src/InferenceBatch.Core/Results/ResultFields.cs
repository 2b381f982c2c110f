using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>The fields that were read from a result line so far.</summary>
internal struct ResultFields
{
    /// <summary>The endpoint of the request; null if unknown.</summary>
    public string? Endpoint;

    public string? CustomId;
    public int? StatusCode;
    public bool HasBody;
    public string? Text;

    /// <summary>The position of the text in the line; length 0 if <see cref="Text"/> has it.</summary>
    public (int Start, int Length) TextToken;

    /// <summary>Whether the bytes that are read are not those of the line, for example because the body is a string.</summary>
    public bool IsOutsideLine;
    public string? FinishReason;
    public string? Model;
    public long? PromptTokens;
    public long? CompletionTokens;
    public long? TotalTokens;
    public string? PlainBody;

    /// <summary>The position of the body, in <see cref="BodyJson"/> or in the line.</summary>
    public (int Start, int Length) Body;

    /// <summary>The body of a response that is a string with JSON; null if the body is in the line.</summary>
    public byte[]? BodyJson;
    public AnswerCheck Check;
    public ServiceError? LineError;

    /// <summary>Why the body is not an answer; null if it is.</summary>
    public AnswerProblem? Problem;
}
