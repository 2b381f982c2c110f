using System.Text;

namespace InferenceBatch.Model;

/// <summary>
/// The result of one request. Successes and failures have the same form, wherever the service puts them (output file, error
/// file, or in the body of the response).
/// </summary>
public sealed class BatchResult
{
    private string? _json;
    private string? _text;
    private object? _value;
    private Func<string, object?>? _valueReader;
    private BatchRequest? _request;
    private string? _valueError;
    private bool _valueIsChecked;

    public required string CustomId { get; init; }

    public ResultStatus Status { get; init; }

    /// <summary>The HTTP status of the response in the line; null if there is none.</summary>
    public int? StatusCode { get; init; }

    /// <summary>The status that decides whether to retry: the HTTP status, or that of the error in the body if a 2xx response contains no answer.</summary>
    internal int? JudgedStatus { get; init; }

    /// <summary>The endpoint of the request, if the reader of the line knows it. It affects which bodies count as answers.</summary>
    internal string? Endpoint { get; init; }

    /// <summary>
    /// The answer as text: the content of the first choice, the text of a completion, or the joined output text of
    /// <c>/v1/responses</c>; null for endpoints that do not return text, such as embeddings.
    /// </summary>
    public string? Text
    {
        get => _text ??= TextReader?.Invoke(JsonUtf8.Slice(TextToken.Start, TextToken.Length));
        init => _text = value;
    }

    /// <summary>The parsed text if it is a JSON object or array; otherwise null. Strings that look like dates remain strings.</summary>
    public object? Value
    {
        get
        {
            if (_valueReader is { } read)
            {
                _valueReader = null;
                _value = Text is null ? null : read(Text);
            }

            return _value;
        }
    }

    /// <summary>
    /// Why a request that asked for JSON has no usable <see cref="Value"/>: cut off by the token limit, or not JSON. Null
    /// if there is no problem, if the line failed, and if the request did not ask for JSON. Without a request, only text
    /// that begins like an object or array is checked.
    /// </summary>
    public string? ValueError
    {
        get
        {
            if (!_valueIsChecked)
            {
                _valueIsChecked = true;
                _valueError = ExpectsJson() ? StructuredAnswer.Problem(Text, FinishReason) : null;
            }

            return _valueError;
        }
    }

    public string? FinishReason { get; init; }

    /// <summary>The model according to the response; null if the response names none.</summary>
    public string? Model { get; init; }

    public long? PromptTokens { get; init; }

    public long? CompletionTokens { get; init; }

    public long? TotalTokens { get; init; }

    public ServiceError? Error { get; init; }

    /// <summary>The request of this result; null unless results were joined with requests.</summary>
    public BatchRequest? Request
    {
        get => _request;
        set => (_request, _valueIsChecked) = (value, false);
    }

    /// <summary>The object from which the request was built; null if there is no request, or the request has no object.</summary>
    public object? InputObject => Request?.InputObject;

    public string? BatchId { get; set; }

    /// <summary>The result line as UTF-8, with API keys masked; empty for a missing result.</summary>
    internal ReadOnlyMemory<byte> JsonUtf8 { get; init; }

    /// <summary>Reads <see cref="Text"/> from the line on first use; null if the text is already known, or there is none.</summary>
    internal Func<ReadOnlyMemory<byte>, string>? TextReader { get; init; }

    /// <summary>The position of the text in the line, in bytes: the argument of <see cref="TextReader"/>.</summary>
    internal (int Start, int Length) TextToken { get; init; }

    /// <summary>The start of the line in its stream, in bytes.</summary>
    internal long Offset { get; set; }

    /// <summary>The length of the line in its stream, in bytes. It differs from <see cref="JsonUtf8"/> if a key was masked.</summary>
    internal int LineLength { get; set; }

    /// <summary>Whether the result is a copy for a row with the same body as another row, which was billed for the tokens.</summary>
    internal bool IsCopy { get; private init; }

    /// <summary>The result line as text. API keys are masked.</summary>
    public string Json => _json ??= Encoding.UTF8.GetString(JsonUtf8.Span);

    /// <summary>Parses text for <see cref="Value"/>; called at most once, on first use.</summary>
    internal Func<string, object?>? ValueReader
    {
        init => _valueReader = value;
    }

    public override string ToString() => CustomId;

    /// <summary>Copies the result for another request with the same body.</summary>
    internal BatchResult CopyFor(string customId, BatchRequest request) => new()
    {
        CustomId = customId,
        Status = Status,
        StatusCode = StatusCode,
        JudgedStatus = JudgedStatus,
        Endpoint = Endpoint,
        Text = _text,
        TextReader = TextReader,
        TextToken = TextToken,
        FinishReason = FinishReason,
        Model = Model,
        PromptTokens = PromptTokens,
        CompletionTokens = CompletionTokens,
        TotalTokens = TotalTokens,
        Error = Error,
        Request = request,
        BatchId = BatchId,
        JsonUtf8 = JsonUtf8,
        IsCopy = true,
        ValueReader = _valueReader ?? (_ => _value),
    };

    private bool ExpectsJson() => Status == ResultStatus.Succeeded
        && (Request is { } request
            ? StructuredAnswer.IsRequestedBy(request.BodyUtf8.Span)
            : Text.AsSpan().TrimStart() is ['{' or '[', ..]);
}
