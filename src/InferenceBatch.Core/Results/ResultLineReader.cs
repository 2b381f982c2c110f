using System.Text.Json;
using System.Text.Unicode;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Results;

/// <summary>
/// Reads one line of an output or error file into a <see cref="BatchResult"/>, in one pass. Tolerates what services do:
/// failures in the output file, <c>error</c> absent or null, a body that is a string holding JSON, a status of 0 or none.
/// </summary>
public static class ResultLineReader
{
    private static readonly Func<ReadOnlyMemory<byte>, string> s_readText = BrokenText.ReadString;
    private static readonly ServiceError s_noBody = AnswerProblem.NoAnswer(AnswerCheck.Empty).Error;
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = RequestLine.MaxDepth + 8 };

    /// <summary>Reads one line.</summary>
    /// <param name="line">The line's bytes; copied.</param>
    /// <param name="batchId">Put into the result.</param>
    /// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
    /// <param name="endpoint">Where the request was sent, which may decide whether a body is an answer; null where that is not known.</param>
    /// <exception cref="JsonException">Not a JSON object.</exception>
    public static BatchResult Read(ReadOnlySpan<byte> line, string? batchId = null, Func<string, object?>? valueReader = null, string? endpoint = null) =>
        Read(line.ToArray(), batchId, valueReader, endpoint);

    /// <summary>Reads one line whose bytes the result may keep.</summary>
    /// <inheritdoc cref="Read(ReadOnlySpan{byte}, string?, Func{string, object?}?, string?)"/>
    internal static BatchResult Read(byte[] kept, string? batchId, Func<string, object?>? valueReader, string? endpoint)
    {
        string? id = MaskSecrets(ref kept);
        ReadOnlySpan<byte> line = kept;
        bool isWhole = Utf8.IsValid(line);
        var fields = new ResultFields { IsElsewhere = !isWhole, Endpoint = endpoint };
        ReadLine(isWhole ? line : BrokenText.Repaired(line), ref fields);
        ServiceError? error = ErrorOf(in fields);
        bool isRefusal = fields.StatusCode is not (null or (>= 200 and <= 299));
        return new BatchResult
        {
            CustomId = id ?? fields.CustomId ?? "",
            Status = StatusOf(error),
            // What a body says of itself decides whether another try is worth it.
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
            JsonUtf8 = kept,
            ValueReader = valueReader,
        };
    }

    /// <summary>Reads no more of a line than its <c>custom_id</c>, and that it is JSON; the result points into the line's own bytes.</summary>
    /// <exception cref="JsonException">Not a JSON object.</exception>
    internal static BatchResult ReadId(ReadOnlyMemory<byte> line)
    {
        var fields = new ResultFields();
        ReadLine(Utf8.IsValid(line.Span) ? line.Span : BrokenText.Repaired(line.Span), ref fields, idOnly: true);
        return new BatchResult { CustomId = fields.CustomId ?? "", JsonUtf8 = line };
    }

    /// <summary>Masks the secrets in a line; where there are any, gives its id as it was, for results are matched by it.</summary>
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

        reader.Read(); // Anything after the object throws.
    }

    /// <summary>What went wrong, the line's own error before that of the answer's body; null for a success.</summary>
    private static ServiceError? ErrorOf(in ResultFields fields)
    {
        if (fields.LineError is { } error)
        {
            return error;
        }

        return fields.StatusCode switch
        {
            null when !fields.HasBody => new ServiceError("no_response", "The line contains neither an answer nor an error."),
            null or (>= 200 and <= 299) => fields.HasBody ? fields.Problem?.Error : fields.Problem?.Error ?? s_noBody,
            { } code => RefusalOf(in fields, code),
        };
    }

    /// <summary>What went wrong with a request whose status is not a success: the body's own words as far as it has some.</summary>
    private static ServiceError RefusalOf(in ResultFields fields, int code)
    {
        ServiceError? said = fields.Problem?.Error;
        if (said is not null && (fields.Check.HasError || !fields.Check.HoldsNothing))
        {
            return said;
        }

        // A body may hold an error that is not called so, such as {"message":"…"}.
        bool hasWords = said is not null and not { Code: AnswerProblem.NoAnswerCode };
        string message = ErrorReader.Shorten(fields.PlainBody ?? (hasWords ? said!.Message : $"The request was answered with status {code}."));
        bool hasCode = hasWords && said!.Code != ErrorReader.NoCode && !HttpErrorStatus.IsStatus(said.Code);
        return hasCode ? said! with { Message = message } : new ServiceError($"http_{code}", message);
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
                fields.StatusCode = JsonValues.ReadWhole(ref reader) is >= 0 and <= 999 and { } code ? (int)code : null;
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
