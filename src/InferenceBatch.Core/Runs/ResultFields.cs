using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>What a result line has told so far.</summary>
internal struct ResultFields
{
    public string? CustomId;
    public int? StatusCode;
    public bool HasBody;
    public string? Text;
    public string? FinishReason;
    public string? Model;
    public long? PromptTokens;
    public long? CompletionTokens;
    public long? TotalTokens;
    public string? PlainBody;
    public string? BodyMessage;
    public ServiceError? BodyError;
    public ServiceError? LineError;
}
