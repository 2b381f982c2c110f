using System.Text.Json;
using System.Text.Unicode;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Statistics;

/// <summary>
/// The token counts of a response, or the sum of many. Reads both sets of names: <c>prompt_tokens</c>/
/// <c>completion_tokens</c> and <c>input_tokens</c>/<c>output_tokens</c>, with their details.
/// </summary>
internal readonly record struct LineUsage(bool Any, long Input, long Cached, long Output, long Reasoning, long Total)
{
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = RequestLine.MaxDepth };

    public static LineUsage operator +(LineUsage a, LineUsage b) => new(
        a.Any || b.Any, Sum(a.Input, b.Input), Sum(a.Cached, b.Cached), Sum(a.Output, b.Output), Sum(a.Reasoning, b.Reasoning), Sum(a.Total, b.Total));

    public TokenUsage? ToTokenUsage() => !Any ? null : new TokenUsage
    {
        InputTokens = Input,
        CachedTokens = Cached,
        OutputTokens = Output,
        ReasoningTokens = Reasoning,
        TotalTokens = Total,
    };

    /// <summary>Reads the body of a response in one pass. Returns false if it is not exactly one JSON value in UTF-8.</summary>
    /// <param name="body">The body.</param>
    /// <param name="endpoint">The endpoint of the request, such as <c>/v1/embeddings</c>; null if it is unknown.</param>
    /// <param name="usage">The tokens; also those of a body that is not an answer, because they may have been billed.</param>
    /// <param name="problem">Why a body with a success status is not an answer; null for an answer.</param>
    public static bool TryReadBody(ReadOnlySpan<byte> body, string? endpoint, out LineUsage usage, out AnswerProblem? problem)
    {
        usage = default;
        problem = null;
        if (!Utf8.IsValid(body))
        {
            return false;
        }

        try
        {
            AnswerCheck check = default;
            var reader = new Utf8JsonReader(body, s_options);
            if (!reader.Read())
            {
                return false;
            }

            usage = ReadBody(ref reader, ref check);
            if (reader.Read()) // Any data after the value throws.
            {
                return false;
            }

            problem = check.Find(body, endpoint);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Reads a line of a result file: its ID, and the status (null if it has no response) and usage of the response.</summary>
    /// <exception cref="JsonException">It is not a result line. Every byte is checked, because a damaged line must not be accepted as a result.</exception>
    public static LineUsage ReadResultLine(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> id, out int? statusCode)
    {
        id = default;
        statusCode = null;
        bool hasBody = false;
        LineUsage usage = default;
        AnswerCheck unused = default; // The file that contains the line shows whether it was an answer.
        var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = RequestLine.MaxDepth + 2 });
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject || !Utf8.IsValid(line))
        {
            throw new JsonException();
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.Is("id"u8))
            {
                reader.Read();
                id = reader.ValueSpan;
            }
            else if (reader.Is("response"u8) && reader.Read() && reader.TokenType == JsonTokenType.StartObject)
            {
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    bool isStatus = reader.Is("status_code"u8);
                    bool isBody = reader.Is("body"u8);
                    reader.Read();
                    if (isBody)
                    {
                        usage = ReadBody(ref reader, ref unused);
                        hasBody = true;
                    }
                    else if (isStatus && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int status))
                    {
                        statusCode = status;
                    }
                    else
                    {
                        reader.Skip();
                    }
                }

                if (statusCode is null || !hasBody)
                {
                    throw new JsonException();
                }
            }
            else
            {
                reader.Skip();
            }
        }

        return reader.Read() ? throw new JsonException() : usage; // Any data after the object throws.
    }

    private static LineUsage ReadBody(ref Utf8JsonReader reader, ref AnswerCheck check)
    {
        LineUsage usage = default;
        check.Begin(reader.TokenType);
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return usage;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            check.Note(ref reader);
            bool isUsage = reader.Is("usage"u8);
            bool isChoices = reader.Is("choices"u8);
            reader.Read();
            if (isUsage && reader.TokenType == JsonTokenType.StartObject)
            {
                usage = ReadUsage(ref reader);
            }
            else if (isChoices && reader.TokenType == JsonTokenType.StartArray)
            {
                ReadChoices(ref reader, ref check);
            }
            else
            {
                reader.Skip();
            }
        }

        return usage;
    }

    private static void ReadChoices(ref Utf8JsonReader reader, ref AnswerCheck check)
    {
        bool isFirst = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!isFirst || reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }

            isFirst = false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                check.NoteChoice(ref reader);
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static LineUsage ReadUsage(ref Utf8JsonReader reader)
    {
        long input = 0, cached = 0, output = 0, reasoning = 0;
        long? total = null;
        int depth = reader.CurrentDepth;
        while (reader.Read() && !(reader.TokenType == JsonTokenType.EndObject && reader.CurrentDepth == depth))
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            if (reader.Is("prompt_tokens"u8) || reader.Is("input_tokens"u8))
            {
                input = ReadCount(ref reader);
            }
            else if (reader.Is("completion_tokens"u8) || reader.Is("output_tokens"u8))
            {
                output = ReadCount(ref reader);
            }
            else if (reader.Is("total_tokens"u8))
            {
                total = ReadCount(ref reader);
            }
            else if (reader.Is("cached_tokens"u8))
            {
                cached = ReadCount(ref reader);
            }
            else if (reader.Is("reasoning_tokens"u8))
            {
                reasoning = ReadCount(ref reader);
            }
        }

        return new LineUsage(true, input, cached, output, reasoning, total ?? Sum(input, output));
    }

    /// <summary>Adds two numbers and stops at the highest one, because an upstream may report any number.</summary>
    internal static long Sum(long a, long b) => a > long.MaxValue - b ? long.MaxValue : a + b;

    /// <summary>Reads only the value after a name. Returns 0 if the value is not a whole number.</summary>
    private static long ReadCount(ref Utf8JsonReader reader)
    {
        Utf8JsonReader ahead = reader;
        ahead.Read();
        if (ahead.TokenType is not (JsonTokenType.Number or JsonTokenType.String))
        {
            return 0;
        }

        reader = ahead;
        return JsonInteger.Read(ref reader) is >= 0 and { } count ? count : 0;
    }
}
