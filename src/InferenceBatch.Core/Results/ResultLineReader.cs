using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>
/// Reads one line of an output or error file into a <see cref="BatchResult"/>, in one pass. Tolerates the variants of services:
/// failures in the output file, <c>error</c> missing or null, a body that is a string with JSON, a status that is 0 or
/// missing.
/// </summary>
public static class ResultLineReader
{
    private static readonly Func<ReadOnlyMemory<byte>, string> s_readText = BrokenText.ReadString;
    private static readonly ServiceError s_noBody = AnswerProblem.NoAnswer(AnswerCheck.Empty).Error;
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = RequestLine.MaxDepth + 8 };

    /// <summary>Reads one line.</summary>
    /// <param name="line">The bytes of the line, which are copied.</param>
    /// <param name="batchId">The batch ID for the result.</param>
    /// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
    /// <param name="endpoint">The endpoint of the request, which may decide whether a body is an answer; null if unknown.</param>
    /// <exception cref="JsonException">The line is not a JSON object.</exception>
    public static BatchResult Read(ReadOnlySpan<byte> line, string? batchId = null, Func<string, object?>? valueReader = null, string? endpoint = null) =>
        Read(line.ToArray(), batchId, valueReader, endpoint);

    /// <summary>Reads one line. The result keeps the array.</summary>
    /// <inheritdoc cref="Read(ReadOnlySpan{byte}, string?, Func{string, object?}?, string?)"/>
    internal static BatchResult Read(byte[] owned, string? batchId, Func<string, object?>? valueReader, string? endpoint)
    {
        string? id = MaskSecrets(ref owned);
        ReadOnlySpan<byte> line = owned;
        bool isValid = Utf8.IsValid(line);
        var fields = new ResultFields { IsOutsideLine = !isValid, Endpoint = endpoint };
        line = isValid ? line : BrokenText.Repaired(line);
        ReadLine(line, ref fields);
        ServiceError? error = ErrorOf(in fields, line);
        bool isRefusal = fields.StatusCode is not (null or (>= 200 and <= 299));
        return new BatchResult
        {
            CustomId = id ?? fields.CustomId ?? "",
            Status = StatusOf(error),
            // The status that the body itself reports decides whether a retry is worth it.
            StatusCode = isRefusal ? fields.StatusCode : fields.Problem?.StatusCode ?? fields.StatusCode,
            JudgedStatus = isRefusal || fields.LineError is not null ? fields.StatusCode : fields.Problem?.EffectiveStatus ?? fields.StatusCode,
            Endpoint = endpoint,
            Text = fields.Text ?? (error is null && fields.TextToken.Length == 0 ? fields.PlainBody : null),
            TextToken = fields.TextToken,
            TextReader = fields.TextToken.Length > 0 ? s_readText : null,
            FinishReason = fields.FinishReason,
            Model = PlainText.Of(fields.Model),
            PromptTokens = fields.PromptTokens,
            CompletionTokens = fields.CompletionTokens,
            TotalTokens = fields.TotalTokens ?? fields.PromptTokens + fields.CompletionTokens,
            Error = error,
            BatchId = batchId,
            JsonUtf8 = owned,
            ValueReader = valueReader,
        };
    }

    /// <summary>Reads only the <c>custom_id</c> of a line, and checks that the line is JSON. The result refers to the bytes of the line.</summary>
    /// <exception cref="JsonException">The line is not a JSON object.</exception>
    internal static BatchResult ReadId(ReadOnlyMemory<byte> line)
    {
        var fields = new ResultFields();
        ReadLine(Utf8.IsValid(line.Span) ? line.Span : BrokenText.Repaired(line.Span), ref fields, idOnly: true);
        return new BatchResult { CustomId = fields.CustomId ?? "", JsonUtf8 = line };
    }

    /// <summary>Masks the secrets in a line. If there are any, returns the original ID, because results are matched by it.</summary>
    private static string? MaskSecrets(ref byte[] line)
    {
        if (!SecretMask.IsInJson(line))
        {
            return null;
        }

        string id = ReadId(line).CustomId;
        line = line[..SecretMask.MaskJson(line)];
        return id;
    }

    private static void ReadLine(ReadOnlySpan<byte> line, ref ResultFields fields, bool idOnly = false)
    {
        var reader = new Utf8JsonReader(line, s_options);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException("The line is not a JSON object.");
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.Is("custom_id"u8))
            {
                fields.CustomId = JsonValues.ReadText(ref reader);
            }
            else if (!idOnly && reader.Is("response"u8))
            {
                ReadResponse(ref reader, line, ref fields);
            }
            else if (!idOnly && reader.Is("error"u8))
            {
                fields.LineError = JsonValues.ReadError(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        reader.Read(); // Throws if anything follows the object.
    }

    /// <summary>Returns the error of a line; null for a success. The error of the line takes precedence over the error in the body.</summary>
    private static ServiceError? ErrorOf(in ResultFields fields, ReadOnlySpan<byte> line)
    {
        if (fields.LineError is { } error)
        {
            return error;
        }

        return fields.StatusCode switch
        {
            null when !fields.HasBody => new ServiceError("no_response", "The line contains neither an answer nor an error."),
            null or (>= 200 and <= 299) => fields.HasBody ? fields.Problem?.Error : fields.Problem?.Error ?? s_noBody,
            { } code => RefusalOf(in fields, line, code),
        };
    }

    /// <summary>Returns the error of a request with an error status, with the message of the body if it has one.</summary>
    private static ServiceError RefusalOf(in ResultFields fields, ReadOnlySpan<byte> line, int code)
    {
        ServiceError? bodyError = fields.Problem?.Error;
        if (bodyError is not null && (fields.Check.HasError || !fields.Check.HasOnlyMetadata))
        {
            return bodyError;
        }

        // A body may contain an error without an error field, such as {"message":"…"}.
        ServiceError? found = ReadRefusal(in fields, line);
        string message = found is { Message.Length: > 0 } ? found.Message : ErrorReader.Shorten(string.IsNullOrWhiteSpace(fields.PlainBody) ? $"The request was answered with status {code}." : fields.PlainBody);
        bool hasCode = found is not null && found.Code != ErrorReader.NoCode && !HttpErrorStatus.IsStatus(found.Code);
        return hasCode ? found! with { Message = message } : new ServiceError($"http_{code}", message, found?.Param);
    }

    /// <summary>Reads the error in the body of a response with an error status: any body, not only one that is no answer.</summary>
    private static ServiceError? ReadRefusal(in ResultFields fields, ReadOnlySpan<byte> line)
    {
        if (fields.PlainBody is { } text)
        {
            return ErrorReader.ReadBody(Encoding.UTF8.GetBytes(text));
        }

        if (fields.Body.Length == 0)
        {
            return null;
        }

        using JsonDocument document = AnswerProblem.Parse((fields.BodyJson ?? line).Slice(fields.Body.Start, fields.Body.Length));
        return ErrorReader.Read(document.RootElement);
    }

    private static ResultStatus StatusOf(ServiceError? error) => error?.Code switch
    {
        null => ResultStatus.Succeeded,
        "batch_expired" => ResultStatus.Expired,
        "batch_cancelled" or "batch_canceled" => ResultStatus.Cancelled,
        _ => ResultStatus.Failed,
    };

    private static void ReadResponse(ref Utf8JsonReader reader, ReadOnlySpan<byte> line, ref ResultFields fields)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (reader.Is("status_code"u8))
            {
                fields.StatusCode = JsonValues.ReadInteger(ref reader) is >= 0 and <= 999 and { } code ? (int)code : null;
            }
            else if (reader.Is("body"u8))
            {
                reader.Read();
                AnswerReader.ReadBody(ref reader, line, ref fields);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }
}
