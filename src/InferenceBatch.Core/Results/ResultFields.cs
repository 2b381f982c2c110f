using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>What a result line has told so far.</summary>
internal struct ResultFields
{
    /// <summary>Where the request was sent; null where that is not known.</summary>
    public string? Endpoint;

    public string? CustomId;
    public int? StatusCode;
    public bool HasBody;
    public string? Text;

    /// <summary>Where the text stands in the line; of length 0 where it had to be made already.</summary>
    public (int Start, int Length) TextToken;

    /// <summary>Whether what is read stands elsewhere than in the line itself, such as in a body that is a string.</summary>
    public bool IsElsewhere;
    public string? FinishReason;
    public string? Model;
    public long? PromptTokens;
    public long? CompletionTokens;
    public long? TotalTokens;
    public string? PlainBody;
    public AnswerCheck Check;
    public ServiceError? LineError;

    /// <summary>Why the body is no answer; null for an answer.</summary>
    public AnswerProblem? Problem;
}
