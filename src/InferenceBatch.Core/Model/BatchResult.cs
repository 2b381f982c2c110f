using System.Text;

namespace InferenceBatch.Model;

/// <summary>
/// What came back for one request, normalised: success and failure have the same shape wherever the service put
/// them (output file, error file, inside the response's body).
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

    /// <summary>The HTTP status of the line's own answer; null when there was none.</summary>
    public int? StatusCode { get; init; }

    /// <summary>The status that decides whether to retry: the HTTP status, or that of the error in the body if a 2xx response contains no answer.</summary>
    internal int? JudgedStatus { get; init; }

    /// <summary>Where the request was sent, as far as the reader of the line knew; it may decide what is an answer.</summary>
    internal string? Endpoint { get; init; }

    /// <summary>
    /// The answer as text: the first choice's content, a completion's text, or the joined output text of
    /// <c>/v1/responses</c>; null for endpoints that answer with something else, such as embeddings.
    /// </summary>
    public string? Text
    {
        get => _text ??= TextReader?.Invoke(JsonUtf8.Slice(TextToken.Start, TextToken.Length));
        init => _text = value;
    }

    /// <summary>The text parsed, where it is a JSON object or array; else null. Date-like text stays text.</summary>
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
    /// when there is no problem, for a failed line, and when the joined request asked for no JSON. Without a request,
    /// only text that begins as an object or array and does not parse counts.
    /// </summary>
    public string? ValueError
    {
        get
        {
            if (!_valueIsChecked)
            {
                _valueIsChecked = true;
                _valueError = WasToBeJson() ? StructuredAnswer.Problem(Text, FinishReason) : null;
            }

            return _valueError;
        }
    }

    public string? FinishReason { get; init; }

    /// <summary>The model that answered, as the service names it; null where the answer names none.</summary>
    public string? Model { get; init; }

    public long? PromptTokens { get; init; }

    public long? CompletionTokens { get; init; }

    public long? TotalTokens { get; init; }

    public ServiceError? Error { get; init; }

    /// <summary>The request this answers; null unless requests were given to join with.</summary>
    public BatchRequest? Request
    {
        get => _request;
        set => (_request, _valueIsChecked) = (value, false);
    }

    /// <summary>The object the request was made from; null unless the request was joined and still has it.</summary>
    public object? InputObject => Request?.InputObject;

    public string? BatchId { get; set; }

    /// <summary>The result line as it came, UTF-8, API keys masked; empty for a missing result.</summary>
    internal ReadOnlyMemory<byte> JsonUtf8 { get; init; }

    /// <summary>Reads <see cref="Text"/> from its place in the line when it is first asked for; null where it is there, or there is none.</summary>
    internal Func<ReadOnlyMemory<byte>, string>? TextReader { get; init; }

    /// <summary>Where the text stands in the line, in bytes: what <see cref="TextReader"/> is given.</summary>
    internal (int Start, int Length) TextToken { get; init; }

    /// <summary>Where the line begins in the stream it was read from, in bytes.</summary>
    internal long Offset { get; set; }

    /// <summary>How many bytes it has there: more than <see cref="JsonUtf8"/> where a key was masked.</summary>
    internal int LineLength { get; set; }

    /// <summary>Whether the answer was sent to another row's request, so that its tokens were billed there.</summary>
    internal bool IsCopy { get; private init; }

    /// <summary>The result line as text; an API key in it is masked.</summary>
    public string Json => _json ??= Encoding.UTF8.GetString(JsonUtf8.Span);

    /// <summary>How <see cref="Value"/> reads text; called at most once, when the value is first asked for.</summary>
    internal Func<string, object?>? ValueReader
    {
        init => _valueReader = value;
    }

    public override string ToString() => CustomId;

    /// <summary>The same answer, to another request with the same body.</summary>
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

    private bool WasToBeJson() => Status == ResultStatus.Succeeded
        && (Request is { } request
            ? StructuredAnswer.IsAskedBy(request.BodyUtf8.Span)
            : Text.AsSpan().TrimStart() is ['{' or '[', ..]);
}
