using System.Globalization;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// Decides whether the body of a 2xx response is an answer. A reader that walks over the body anyway shows it each name
/// it passes (<see cref="Note"/>, <see cref="NoteChoice"/>), so a good answer costs no second parse and no allocation.
/// </summary>
/// <remarks>
/// A body is not an answer when it is not an object; holds an <c>error</c> that says something; has the status
/// <c>failed</c> or <c>cancelled</c> (<c>/v1/responses</c>; <c>incomplete</c> is an answer that was cut off); ended with
/// <c>finish_reason</c> <c>error</c>; names the list its endpoint answers with but leaves it null or empty; or holds
/// nothing but metadata. An empty <c>choices</c> counts as none: OpenAI's schema always has at least one choice, and
/// gateways send <c>null</c> or <c>[]</c> when the model's output was lost or blocked. What an unknown endpoint answers
/// with is not judged, and a list that is absent rather than empty is only missed where <c>object</c> promises it.
/// </remarks>
public struct AnswerCheck
{
    /// <summary>The message of a body that holds nothing.</summary>
    internal const string Empty = "The answer is empty.";

    private bool _isObject;
    private bool _isNull;
    private bool _hasError;
    private bool _hasContent;
    private bool _hasChoiceError;
    private Ending _ending;
    private Kind _kind;
    private Progress _progress;
    private Part _choices;
    private Part _data;
    private Part _results;
    private Part _output;

    private enum Part : byte
    {
        Absent,
        Null,
        Empty,
        Present,
    }

    private enum Kind : byte
    {
        Other,
        Completion,
        List,
        Response,
        Error,
    }

    private enum Progress : byte
    {
        Other,
        Pending,
        Incomplete,
        Failed,
        Cancelled,
    }

    private enum Ending : byte
    {
        Other,
        Error,
        Interrupted,
        NoResource,
    }

    /// <summary>Whether the body says itself that it is an error.</summary>
    public readonly bool HasError => _hasError || _kind == Kind.Error;

    /// <summary>Whether the body has neither an answer nor a place for one: at most metadata, or an error that is not called so.</summary>
    public readonly bool HoldsNothing => !_hasContent && _progress is not (Progress.Failed or Progress.Cancelled)
        && _choices == Part.Absent && _data == Part.Absent && _results == Part.Absent && _output == Part.Absent;

    /// <summary>Begins a body.</summary>
    /// <param name="root">The token it begins with.</param>
    public void Begin(JsonTokenType root) => (_isObject, _isNull) = (root == JsonTokenType.StartObject, root == JsonTokenType.Null);

    /// <summary>Notes a property of the body.</summary>
    /// <param name="name">On the property's name; stays there.</param>
    public void Note(ref Utf8JsonReader name)
    {
        if (IsMetadata(ref name))
        {
            return;
        }

        bool isKnown = name.ValueSpan.Length switch
        {
            4 => name.Is("data"u8),
            5 => name.Is("error"u8),
            6 => name.Is("object"u8) || name.Is("status"u8) || name.Is("output"u8),
            7 => name.Is("choices"u8) || name.Is("results"u8) || name.Is("message"u8),
            _ => false,
        };
        if (isKnown || !_hasContent)
        {
            NoteValue(name, isKnown);
        }
    }

    /// <summary>Notes a property of the first of the body's <c>choices</c>.</summary>
    /// <param name="name">On the property's name; stays there.</param>
    public void NoteChoice(ref Utf8JsonReader name)
    {
        if (name.ValueSpan.Length is not (4 or 5 or 7 or 13))
        {
            return; // Of another length than each of the names below.
        }

        Utf8JsonReader reader = name;
        if (reader.Is("message"u8) || reader.Is("text"u8) || reader.Is("delta"u8))
        {
            reader.Read();
            _choices = reader.TokenType == JsonTokenType.Null ? _choices : Part.Present;
        }
        else if (reader.Is("finish_reason"u8))
        {
            reader.Read();
            _ending = reader.Is("error"u8) || reader.Is("ERROR"u8) ? Ending.Error
                : reader.Is("abort"u8) ? Ending.Interrupted // vLLM and SGLang, when the generation was given up.
                : reader.Is("insufficient_system_resource"u8) ? Ending.NoResource // DeepSeek, the same.
                : Ending.Other;
        }
        else if (reader.Is("error"u8))
        {
            _hasChoiceError = SaysSomething(ref reader); // OpenRouter.
        }
    }

    /// <summary>Gives why the body that was noted is not an answer; null when it is one.</summary>
    /// <param name="body">The whole body, one JSON value. Parsed for the service's words when it is not an answer.</param>
    /// <param name="endpoint">What the request was sent to, such as <c>/v1/embeddings</c>; null when it is not known.</param>
    public readonly AnswerProblem? Find(ReadOnlySpan<byte> body, string? endpoint = null)
    {
        if (!_isObject)
        {
            return Describe(body, _isNull ? Empty : "The body of the answer is not a JSON object.");
        }

        if (HasError)
        {
            return Describe(body, "The body of the answer is an error without a message.");
        }

        if (_progress is Progress.Failed or Progress.Cancelled)
        {
            return Describe(body, $"The answer's status is '{(_progress == Progress.Failed ? "failed" : "cancelled")}'.");
        }

        if (_hasChoiceError || _ending != Ending.Other)
        {
            return DescribeChoice(body);
        }

        bool hasPart = _choices == Part.Present || _data == Part.Present || _results == Part.Present || _output == Part.Present;
        bool isResponse = _kind == Kind.Response || Is(endpoint, "/responses");
        if (_progress == Progress.Pending && isResponse)
        {
            // A request with "background": it would be queued again.
            return AnswerProblem.NoAnswer("The response has not ended: a batch cannot wait for a background response.", 400);
        }

        return hasPart || _progress == Progress.Incomplete ? null : MissingPart(endpoint, isResponse) is { } part ? Describe(body, $"The answer has no '{part}'.")
            : HoldsNothing ? Describe(body, Empty) : null;
    }

    private void NoteValue(Utf8JsonReader reader, bool isKnown)
    {
        if (!isKnown)
        {
            reader.Read();
            _hasContent = reader.TokenType != JsonTokenType.Null;
        }
        else if (reader.Is("choices"u8))
        {
            _choices = ReadPart(ref reader) == Part.Null ? Part.Null : Part.Empty; // Until a choice is noted.
        }
        else if (reader.Is("error"u8))
        {
            _hasError = SaysSomething(ref reader);
        }
        else if (reader.Is("object"u8))
        {
            reader.Read();
            _kind = reader.Is("chat.completion"u8) || reader.Is("text_completion"u8) ? Kind.Completion
                : reader.Is("list"u8) ? Kind.List
                : reader.Is("response"u8) ? Kind.Response
                : reader.Is("error"u8) ? Kind.Error : Kind.Other;
        }
        else if (reader.Is("status"u8))
        {
            reader.Read();
            _progress = reader.Is("failed"u8) ? Progress.Failed
                : reader.Is("cancelled"u8) || reader.Is("canceled"u8) ? Progress.Cancelled
                : reader.Is("incomplete"u8) ? Progress.Incomplete
                : reader.Is("queued"u8) || reader.Is("in_progress"u8) ? Progress.Pending : Progress.Other;
        }
        else if (reader.Is("data"u8))
        {
            _data = ReadPart(ref reader);
        }
        else if (reader.Is("results"u8))
        {
            _results = ReadPart(ref reader);
        }
        else if (reader.Is("output"u8))
        {
            _output = ReadPart(ref reader);
        }
        else
        {
            reader.Read();
            _hasContent |= reader.TokenType == JsonTokenType.StartObject; // A message that is a text is an error's.
        }
    }

    /// <summary>The list that the answer should have and has not; null where none is missed.</summary>
    private readonly string? MissingPart(string? endpoint, bool isResponse) =>
        _choices != Part.Absent || _kind == Kind.Completion ? "choices"
        : _data == Part.Null || (_data == Part.Empty && (_kind == Kind.List || Is(endpoint, "/embeddings"))) || (_data == Part.Absent && _kind == Kind.List) ? "data"
        : _results == Part.Null || (_results == Part.Empty && Is(endpoint, "/moderations")) ? "results"
        : (_output == Part.Null && isResponse) || (_output == Part.Absent && _kind == Kind.Response) ? "output"
        : null;

    private readonly AnswerProblem DescribeChoice(ReadOnlySpan<byte> body)
    {
        using JsonDocument document = Parse(body);
        JsonElement? choice = document.RootElement.Field("choices")?.EnumerateArray().FirstOrDefault(item => item.ValueKind == JsonValueKind.Object);
        if (_hasChoiceError)
        {
            return Describe(choice, "The answer's choice is an error without a message.");
        }

        return AnswerProblem.NoAnswer($"The answer ended with finish_reason '{choice?.Field("finish_reason").Name()}'.", _ending == Ending.NoResource ? 503 : null);
    }

    private static AnswerProblem Describe(ReadOnlySpan<byte> body, string otherwise)
    {
        using JsonDocument document = Parse(body);
        return Describe(document.RootElement, otherwise);
    }

    private static AnswerProblem Describe(JsonElement? holder, string otherwise)
    {
        int? status = HttpErrorStatus.Read(holder);
        ServiceError? error = ErrorReader.Read(holder) ?? ErrorReader.Read(holder?.Field("errors")); // Cloudflare has a list.
        string? word = error?.Code;
        if (word is null or ErrorReader.NoCode && status is not null)
        {
            word = status?.ToString(CultureInfo.InvariantCulture); // The status tells more than no code.
        }

        string code = word ?? AnswerProblem.NoAnswerCode;
        return new AnswerProblem(new ServiceError(code, error is { Message.Length: > 0 } ? error.Message : otherwise, error?.Param), status);
    }

    private static JsonDocument Parse(ReadOnlySpan<byte> body) =>
        JsonDocument.Parse(body.ToArray(), new JsonDocumentOptions { MaxDepth = RequestLine.MaxDepth + 8 });

    private static bool Is(string? endpoint, string end) => endpoint?.EndsWith(end, StringComparison.Ordinal) == true;

    /// <summary>Names that stand beside an answer, or beside an error; none of them is an answer.</summary>
    private static bool IsMetadata(ref Utf8JsonReader reader) => reader.ValueSpan.Length switch
    {
        2 => reader.Is("id"u8),
        4 => reader.Is("code"u8) || reader.Is("type"u8),
        5 => reader.Is("model"u8) || reader.Is("param"u8),
        6 => reader.Is("detail"u8) || reader.Is("errors"u8),
        7 => reader.Is("created"u8) || reader.Is("success"u8),
        8 => reader.Is("provider"u8) || reader.Is("metadata"u8),
        10 => reader.Is("created_at"u8) || reader.Is("request_id"u8) || reader.Is("statusCode"u8),
        11 => reader.Is("status_code"u8),
        12 => reader.Is("service_tier"u8),
        18 => reader.Is("system_fingerprint"u8),
        _ => false,
    };

    private static Part ReadPart(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return Part.Null;
        }

        reader.Read();
        return reader.TokenType == JsonTokenType.EndArray ? Part.Empty : Part.Present;
    }

    /// <summary>Whether an <c>error</c> says something: null, false, 0, "" and what holds nothing else do not.</summary>
    private static bool SaysSomething(ref Utf8JsonReader reader)
    {
        int depth = reader.CurrentDepth;
        do
        {
            reader.Read();
            if (reader.TokenType == JsonTokenType.True
                || (reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length > 0)
                || (reader.TokenType == JsonTokenType.Number && reader.ValueSpan is not [(byte)'0']))
            {
                return true;
            }
        }
        while (reader.CurrentDepth > depth || reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray);

        return false;
    }
}
