using System.Globalization;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// Decides whether a body with a success status is an answer. Gateways answer 200 with an error inside
/// (<c>{"error":{"code":502,…}}</c>), with <c>choices: null</c>, or with <c>finish_reason: "error"</c>; <c>/v1/responses</c>
/// says <c>status: "failed"</c>. One rule for the service, which counts its lines by it, and for the client, which reads
/// the lines of every service. Fed with the properties of the body's top level while they are read; a good answer costs
/// no memory.
/// </summary>
/// <remarks>
/// A body of an unknown shape is an answer: endpoints differ. <c>status: "incomplete"</c> is an answer that was cut off.
/// </remarks>
public struct AnswerCheck
{
    private bool _hasProperties;
    private JsonElement? _error;
    private string? _missing;
    private bool _endedInError;
    private bool _isErrorObject;
    private string? _type;
    private string? _message;
    private string? _status;
    private int? _code;

    /// <summary>
    /// Reads a property of the body if the rule needs it. On true the reader stands on the end of its value; on false it
    /// still stands on the name.
    /// </summary>
    public bool TryRead(ref Utf8JsonReader reader)
    {
        if (reader.Is("choices"u8))
        {
            LookAtChoices(reader);
            reader.Read();
            ReadChoices(ref reader);
            return true;
        }

        if (reader.Is("error"u8))
        {
            ReadError(ref reader);
            return true;
        }

        return LookAt(ref reader);
    }

    /// <summary>Reads <c>error</c>, of the body or of a choice: null, false, 0 and what is empty are no error.</summary>
    public void ReadError(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType is JsonTokenType.Null or JsonTokenType.False)
        {
            return;
        }

        using JsonDocument document = JsonDocument.ParseValue(ref reader);
        JsonElement value = document.RootElement;
        bool isEmpty = value.ValueKind switch
        {
            JsonValueKind.Object => !value.EnumerateObject().Any(),
            JsonValueKind.Array => value.GetArrayLength() == 0,
            JsonValueKind.String => value.GetString() is "",
            JsonValueKind.Number => value.TryGetDouble(out double number) && number == 0,
            _ => false,
        };
        _error ??= isEmpty ? null : value.Clone();
    }

    /// <summary>Looks whether <c>choices</c> holds anything; the reader stands on its name, and stays there.</summary>
    public void LookAtChoices(Utf8JsonReader reader)
    {
        reader.Read();
        bool isArray = reader.TokenType == JsonTokenType.StartArray;
        if (!isArray || (reader.Read() && reader.TokenType == JsonTokenType.EndArray))
        {
            _missing = "choices";
        }
    }

    /// <summary>Reads one of the smaller properties: <c>status</c>, <c>message</c>, <c>code</c>, <c>type</c>, <c>object</c>, <c>data</c>.</summary>
    public bool LookAt(ref Utf8JsonReader reader)
    {
        if (reader.Is("status"u8) || reader.Is("status_code"u8) || reader.Is("code"u8))
        {
            reader.Read();
            _status = reader.TokenType == JsonTokenType.String && (reader.ValueTextEquals("failed"u8) || reader.ValueTextEquals("cancelled"u8))
                ? reader.GetString() : _status;
            _code ??= reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int code) ? code : null;
            reader.Skip();
            return true;
        }

        if (reader.Is("object"u8))
        {
            reader.Read();
            _isErrorObject |= reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("error"u8);
            reader.Skip();
            return true;
        }

        if (reader.Is("type"u8))
        {
            reader.Read();
            _type = reader.TokenType == JsonTokenType.String ? BrokenText.ReadString(ref reader) : null;
            reader.Skip();
            return true;
        }

        if (reader.Is("message"u8))
        {
            reader.Read();
            _message = reader.TokenType == JsonTokenType.String ? BrokenText.ReadString(ref reader) : null;
            reader.Skip();
            return true;
        }

        if (reader.Is("data"u8) || reader.Is("results"u8) || reader.Is("output"u8))
        {
            Utf8JsonReader ahead = reader;
            string name = reader.GetString()!;
            ahead.Read();
            _missing = ahead.TokenType == JsonTokenType.Null ? name : _missing;
        }

        return false;
    }

    /// <summary>Whether the body has any property.</summary>
    public readonly bool HasProperties => _hasProperties;

    /// <summary>The body's own <c>message</c>.</summary>
    public readonly string? Message => _message;

    /// <summary>Counts a property of the body: one without any is no answer.</summary>
    public void See() => _hasProperties = true;

    /// <summary>Takes a property that must hold something.</summary>
    public void TakeNull(string name) => _missing = name;

    /// <summary>Takes how the answer ended: <c>finish_reason</c> of the first choice, or <c>status</c>.</summary>
    public void TakeEnding(string? ending)
    {
        _endedInError |= ending == "error";
        _code ??= int.TryParse(ending, NumberStyles.None, CultureInfo.InvariantCulture, out int code) ? code : null;
        _status = ending is "failed" or "cancelled" ? ending : _status;
    }

    /// <summary>What is wrong; null for an answer.</summary>
    public readonly AnswerProblem? Problem
    {
        get
        {
            if (_error is { } error)
            {
                ServiceError? said = ErrorReader.Read(error);
                bool hasText = said is { Message.Length: > 0 };
                return new AnswerProblem(
                    new ServiceError(
                        said?.Code ?? StatusOf(error)?.ToString(CultureInfo.InvariantCulture) ?? AnswerProblem.NoAnswerCode,
                        hasText ? said!.Message : _message ?? "The body of the answer is an error without a message.", said?.Param),
                    StatusOf(error));
            }

            return _isErrorObject ? new AnswerProblem(new ServiceError(_type ?? AnswerProblem.NoAnswerCode, _message ?? ""), Status(_code))
                : _endedInError ? new AnswerProblem(new ServiceError(AnswerProblem.NoAnswerCode, "The answer ended with finish_reason 'error'."), null)
                : _status is not null ? new AnswerProblem(new ServiceError(AnswerProblem.NoAnswerCode, $"The answer's status is '{_status}'."), null)
                : !_hasProperties ? new AnswerProblem(new ServiceError(AnswerProblem.NoAnswerCode, "The answer is empty."), null)
                : _missing is not null ? new AnswerProblem(new ServiceError(AnswerProblem.NoAnswerCode, $"The answer has no '{_missing}'."), Status(_code))
                : null;
        }
    }

    /// <summary>The status that an error names: as a number, as digits, beside it, or by one of the words that APIs use for one.</summary>
    private readonly int? StatusOf(JsonElement error)
    {
        if (error.ValueKind == JsonValueKind.Number)
        {
            return Status(error.TryGetInt32(out int number) ? number : null);
        }

        if (error.ValueKind == JsonValueKind.Object)
        {
            foreach (string name in (string[])["code", "status", "status_code", "http_code"])
            {
                if (int.TryParse(error.Field(name).Name(), NumberStyles.None, CultureInfo.InvariantCulture, out int code) && Status(code) is { } status)
                {
                    return status;
                }
            }
        }

        return Status(_code) ?? ErrorReader.Read(error)?.Code switch
        {
            "rate_limit_exceeded" or "rate_limit_error" or "insufficient_quota" or "RESOURCE_EXHAUSTED" => 429,
            "overloaded_error" or "unavailable_error" or "service_unavailable" or "UNAVAILABLE" => 503,
            "server_error" or "api_error" or "internal_error" or "internal_server_error" or "INTERNAL" => 500,
            "invalid_request_error" or "invalid_prompt" or "INVALID_ARGUMENT" or "exceed_context_size_error" or "context_length_exceeded" => 400,
            "authentication_error" or "invalid_api_key" or "UNAUTHENTICATED" => 401,
            "permission_error" or "permission_denied" or "PERMISSION_DENIED" => 403,
            _ => null,
        };
    }

    private static int? Status(int? code) => code is >= 400 and <= 599 ? code : null;

    /// <summary>Reads the choices, the reader standing on their value: of the first, how it ended.</summary>
    private void ReadChoices(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }

        bool isFirst = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!isFirst || reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }

            isFirst = false;
            while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
            {
                if (reader.Is("error"u8))
                {
                    ReadError(ref reader);
                    continue;
                }

                bool isEnding = reader.Is("finish_reason"u8);
                reader.Read();
                _endedInError |= isEnding && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("error"u8);
                reader.Skip();
            }
        }
    }
}
