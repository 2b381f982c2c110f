using System.Text.Json;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// Decides whether the body of a 2xx response is an answer. The code that parses the body passes each property name to it
/// (<see cref="Note"/>, <see cref="NoteChoice"/>), so a valid answer needs no second parse and no allocation.
/// </summary>
/// <remarks>
/// A body is not an answer in these cases: it is not an object; it has an <c>error</c> with content; its status is
/// <c>failed</c> or <c>cancelled</c> (<c>/v1/responses</c>; <c>incomplete</c> is an answer that was cut off); its
/// <c>finish_reason</c> is <c>error</c>; the list that its endpoint returns is null or empty; or it has only metadata. An
/// empty <c>choices</c> counts as missing: OpenAI's schema requires at least one choice, and gateways send <c>null</c> or
/// <c>[]</c> when the model's output was lost or blocked. The content of unknown endpoints is not checked. An absent list
/// (in contrast to an empty one) counts as missing only if <c>object</c> says that it should be there.
/// </remarks>
public struct AnswerCheck
{
    /// <summary>The message for an empty body.</summary>
    internal const string Empty = "The response is empty.";

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

    /// <summary>Whether the body declares itself as an error.</summary>
    public readonly bool HasError => _hasError || _kind == Kind.Error;

    /// <summary>Whether the body has neither an answer nor a field for one: only metadata, or an error under another name.</summary>
    public readonly bool HasOnlyMetadata => !_hasContent && _progress is not (Progress.Failed or Progress.Cancelled)
        && _choices == Part.Absent && _data == Part.Absent && _results == Part.Absent && _output == Part.Absent;

    /// <summary>Begins a body.</summary>
    /// <param name="root">The first token of the body.</param>
    public void Begin(JsonTokenType root) => (_isObject, _isNull) = (root == JsonTokenType.StartObject, root == JsonTokenType.Null);

    /// <summary>Notes a property of the body.</summary>
    /// <param name="name">A reader at the property's name. It is not advanced.</param>
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
    /// <param name="name">A reader at the property's name. It is not advanced.</param>
    public void NoteChoice(ref Utf8JsonReader name)
    {
        if (name.ValueSpan.Length is not (4 or 5 or 7 or 13))
        {
            return; // None of the names below has this length.
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
                : reader.Is("abort"u8) ? Ending.Interrupted // vLLM and SGLang: the generation was aborted.
                : reader.Is("insufficient_system_resource"u8) ? Ending.NoResource // DeepSeek: likewise.
                : Ending.Other;
        }
        else if (reader.Is("error"u8))
        {
            _hasChoiceError = HasContent(ref reader); // OpenRouter.
        }
    }

    /// <summary>Returns why the noted body is not an answer, or null if it is one.</summary>
    /// <param name="body">The whole body, one JSON value. If it is not an answer, it is parsed for the service's error.</param>
    /// <param name="endpoint">The endpoint of the request, such as <c>/v1/embeddings</c>; null if it is not known.</param>
    public readonly AnswerProblem? Find(ReadOnlySpan<byte> body, string? endpoint = null)
    {
        if (!_isObject)
        {
            return AnswerProblem.Of(body, _isNull ? Empty : "The body of the response is not a JSON object.");
        }

        if (HasError)
        {
            return AnswerProblem.Of(body, "The body of the response is an error without a message.");
        }

        if (_progress is Progress.Failed or Progress.Cancelled)
        {
            return AnswerProblem.Of(body, $"The status of the response is '{(_progress == Progress.Failed ? "failed" : "cancelled")}'.");
        }

        if (_hasChoiceError || _ending != Ending.Other)
        {
            return DescribeChoice(body);
        }

        bool hasPart = _choices == Part.Present || _data == Part.Present || _results == Part.Present || _output == Part.Present;
        bool isResponse = _kind == Kind.Response || Is(endpoint, "/responses");
        if (_progress == Progress.Pending && isResponse)
        {
            // The request has "background". A retry would only queue another response.
            return AnswerProblem.NoAnswer("The response has not ended: a batch cannot wait for a background response. Remove 'background' from the body.", 400);
        }

        return hasPart || _progress == Progress.Incomplete ? null : MissingPart(endpoint, isResponse) is { } part ? AnswerProblem.Of(body, $"The response has no '{part}'.")
            : HasOnlyMetadata ? AnswerProblem.Of(body, Empty) : null;
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
            _choices = ReadPart(ref reader) == Part.Null ? Part.Null : Part.Empty; // Until NoteChoice finds a choice.
        }
        else if (reader.Is("error"u8))
        {
            _hasError = HasContent(ref reader);
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
            _hasContent |= reader.TokenType == JsonTokenType.StartObject; // If message is a string, it belongs to an error.
        }
    }

    /// <summary>Returns the name of the list that is missing from the answer, or null if none is missing.</summary>
    private readonly string? MissingPart(string? endpoint, bool isResponse) =>
        _choices != Part.Absent || _kind == Kind.Completion ? "choices"
        : _data == Part.Null || (_data == Part.Empty && (_kind == Kind.List || Is(endpoint, "/embeddings"))) || (_data == Part.Absent && _kind == Kind.List) ? "data"
        : _results == Part.Null || (_results == Part.Empty && Is(endpoint, "/moderations")) ? "results"
        : (_output == Part.Null && isResponse) || (_output == Part.Absent && _kind == Kind.Response) ? "output"
        : null;

    private readonly AnswerProblem DescribeChoice(ReadOnlySpan<byte> body)
    {
        using JsonDocument document = AnswerProblem.Parse(body);
        JsonElement? choice = document.RootElement.Field("choices")?.EnumerateArray().FirstOrDefault(item => item.ValueKind == JsonValueKind.Object);
        if (_hasChoiceError)
        {
            return AnswerProblem.Of(choice, "The choice in the response is an error without a message.");
        }

        return AnswerProblem.NoAnswer($"The response ended with finish_reason '{choice?.Field("finish_reason").Name()}'.", _ending == Ending.NoResource ? 503 : null);
    }

    private static bool Is(string? endpoint, string end) => endpoint?.EndsWith(end, StringComparison.Ordinal) == true;

    /// <summary>Whether a property only accompanies an answer or an error.</summary>
    private static bool IsMetadata(ref Utf8JsonReader reader) => reader.ValueSpan.Length switch
    {
        2 => reader.Is("id"u8),
        3 => reader.Is("msg"u8),
        4 => reader.Is("code"u8) || reader.Is("type"u8),
        5 => reader.Is("model"u8) || reader.Is("param"u8),
        6 => reader.Is("detail"u8) || reader.Is("errors"u8),
        7 => reader.Is("created"u8) || reader.Is("success"u8),
        8 => reader.Is("provider"u8) || reader.Is("metadata"u8),
        9 => reader.Is("error_msg"u8) || reader.Is("errorCode"u8),
        10 => reader.Is("error_code"u8) || reader.Is("created_at"u8) || reader.Is("request_id"u8) || reader.Is("statusCode"u8),
        11 => reader.Is("status_code"u8),
        12 => reader.Is("service_tier"u8) || reader.Is("errorMessage"u8),
        13 => reader.Is("error_message"u8),
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

    /// <summary>Whether an <c>error</c> has content: something other than null, false, 0, "", and objects and arrays of these.</summary>
    private static bool HasContent(ref Utf8JsonReader reader)
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
