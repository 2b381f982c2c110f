using System.Buffers;
using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>What one request's body would take. The rule stands at <see cref="FileMeasure"/>.</summary>
internal ref struct BodyMeasure
{
    private const int MessageLow = 3;
    private const int MessageHigh = 8;
    private const int TemplateHigh = 30;

    private ReadOnlySpan<byte> _body;
    private long _low;
    private long _high;
    private long _choices;
    private bool _hasMessages;
    private bool _isPrompt;

    public readonly long InputLow => _low;

    public readonly long InputHigh => _high;

    /// <summary>Answers the request asks for: 1, or its <c>n</c> or <c>best_of</c>.</summary>
    public readonly long Choices => Math.Max(1, _choices);

    /// <summary>The largest limit the body sets for an answer's tokens; null for none.</summary>
    public long? Limit { get; private set; }

    public bool HasMedia { get; private set; }

    /// <summary>Whether the endpoint answers with text: told by the url, else by the body, as Inference.net does.</summary>
    public readonly bool HasOutput(ReadOnlySpan<byte> url) => url.IsEmpty
        ? _hasMessages || _isPrompt
        : !url.EndsWith("/embeddings"u8) && !url.EndsWith("/moderations"u8);

    /// <summary>Reads a body, known to be a JSON object.</summary>
    public static BodyMeasure Of(ReadOnlySpan<byte> body)
    {
        var measure = new BodyMeasure { _body = body };
        measure.Read();
        return measure;
    }

    private void Read()
    {
        var reader = new Utf8JsonReader(_body, new JsonReaderOptions { MaxDepth = RequestLine.MaxDepth });
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            ReadField(ref reader);
        }

        if (_hasMessages)
        {
            _low += MessageLow;
            _high += TemplateHigh;
        }
        else
        {
            _high += MessageHigh; // Marks of beginning and end, and a single prompt's own turn.
        }
    }

    private void ReadField(ref Utf8JsonReader reader)
    {
        if (reader.ValueTextEquals("messages"u8) || reader.ValueTextEquals("input"u8))
        {
            reader.Read();
            ReadInput(ref reader);
        }
        else if (reader.ValueTextEquals("prompt"u8))
        {
            reader.Read();
            _isPrompt = true;
            HasMedia |= reader.TokenType == JsonTokenType.StartObject; // A prompt the service keeps.
            ReadInput(ref reader);
        }
        else if (reader.ValueTextEquals("instructions"u8) || reader.ValueTextEquals("suffix"u8))
        {
            reader.Read();
            ReadContent(ref reader);
        }
        else if (reader.ValueTextEquals("tools"u8) || reader.ValueTextEquals("functions"u8))
        {
            AddRaw(ref reader, ref _low);
        }
        else if (reader.ValueTextEquals("response_format"u8) || reader.ValueTextEquals("text"u8))
        {
            // Some services write the schema into the prompt, others only hold the answer to it.
            long none = 0;
            AddRaw(ref reader, ref none);
        }
        else if (reader.ValueTextEquals("max_tokens"u8) || reader.ValueTextEquals("max_completion_tokens"u8) || reader.ValueTextEquals("max_output_tokens"u8))
        {
            long? limit = Whole(ref reader);
            Limit = limit is null ? Limit : Math.Max(Limit ?? 0, limit.Value);
        }
        else if (reader.ValueTextEquals("n"u8) || reader.ValueTextEquals("best_of"u8))
        {
            _choices = Math.Max(_choices, Whole(ref reader) ?? 1);
        }
        else if (reader.ValueTextEquals("previous_response_id"u8) || reader.ValueTextEquals("conversation"u8))
        {
            reader.Read();
            HasMedia |= reader.TokenType != JsonTokenType.Null;
            reader.Skip();
        }
        else
        {
            reader.Read();
            reader.Skip();
        }
    }

    /// <summary>Messages, or one text, or several, or tokens as numbers: each of these is one exactly.</summary>
    private void ReadInput(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            ReadContent(ref reader);
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.Number)
            {
                _low++;
                _high++;
            }
            else if (reader.TokenType == JsonTokenType.StartArray)
            {
                ReadInput(ref reader);
            }
            else
            {
                if (reader.TokenType == JsonTokenType.StartObject)
                {
                    _hasMessages = true;
                    _low += MessageLow;
                    _high += MessageHigh;
                }

                ReadContent(ref reader);
            }
        }
    }

    /// <summary>Counts every text within a value, but for names the service gives and what is no text.</summary>
    private void ReadContent(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            AddText(ref reader);
            return;
        }

        int depth = reader.CurrentDepth;
        if (reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            return;
        }

        while (reader.Read() && reader.CurrentDepth > depth)
        {
            if (reader.TokenType == JsonTokenType.String)
            {
                AddText(ref reader);
            }
            else if (reader.TokenType == JsonTokenType.PropertyName && IsMedia(ref reader))
            {
                HasMedia = true;
                reader.Read();
                reader.Skip();
            }
            else if (reader.TokenType == JsonTokenType.PropertyName && IsLabel(ref reader))
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static bool IsMedia(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("image_url"u8) || reader.ValueTextEquals("input_audio"u8) || reader.ValueTextEquals("file"u8)
        || reader.ValueTextEquals("file_id"u8) || reader.ValueTextEquals("file_data"u8) || reader.ValueTextEquals("file_url"u8)
        || reader.ValueTextEquals("video_url"u8) || reader.ValueTextEquals("audio"u8);

    private static bool IsLabel(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("type"u8) || reader.ValueTextEquals("role"u8) || reader.ValueTextEquals("id"u8)
        || reader.ValueTextEquals("tool_call_id"u8) || reader.ValueTextEquals("call_id"u8) || reader.ValueTextEquals("status"u8)
        || reader.ValueTextEquals("detail"u8);

    private void AddText(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            TokenEstimate.Add(reader.ValueSpan, ref _low, ref _high);
            return;
        }

        byte[] text = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        TokenEstimate.Add(text.AsSpan(0, reader.CopyString(text)), ref _low, ref _high);
        ArrayPool<byte>.Shared.Return(text);
    }

    private void AddRaw(ref Utf8JsonReader reader, ref long low)
    {
        reader.Read();
        if (reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
        {
            int start = (int)reader.TokenStartIndex;
            reader.Skip();
            TokenEstimate.Add(_body[start..(int)reader.BytesConsumed], ref low, ref _high);
        }
    }

    private static long? Whole(ref Utf8JsonReader reader)
    {
        reader.Read();
        long? whole = reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long value) && value is >= 0 and <= int.MaxValue ? value : null;
        reader.Skip();
        return whole;
    }
}
