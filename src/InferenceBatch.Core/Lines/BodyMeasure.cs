using System.Buffers;
using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>The estimated tokens of one request's body. <see cref="FileMeasure"/> describes the rules.</summary>
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

    /// <summary>The number of answers that the request asks for: 1, or its <c>n</c> or <c>best_of</c>.</summary>
    public readonly long Choices => Math.Max(1, _choices);

    /// <summary>The largest limit in the body for the tokens of an answer; null if there is none.</summary>
    public long? Limit { get; private set; }

    public bool HasMedia { get; private set; }

    /// <summary>Whether the endpoint returns text. Determined by the url or, if there is none, by the body, as Inference.net does.</summary>
    public readonly bool HasOutput(ReadOnlySpan<byte> url) => url.IsEmpty
        ? _hasMessages || _isPrompt
        : !url.EndsWith("/embeddings"u8) && !url.EndsWith("/moderations"u8);

    /// <summary>Reads a body, which must be a JSON object.</summary>
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
            _high += MessageHigh; // Start and end tokens, and the template around a single prompt.
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
            HasMedia |= reader.TokenType == JsonTokenType.StartObject; // A prompt that is stored at the service.
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
            // Some services add the schema to the prompt, others only enforce it.
            long ignored = 0;
            AddRaw(ref reader, ref ignored);
        }
        else if (reader.ValueTextEquals("max_tokens"u8) || reader.ValueTextEquals("max_completion_tokens"u8) || reader.ValueTextEquals("max_output_tokens"u8))
        {
            long? limit = ReadCount(ref reader);
            Limit = limit is null ? Limit : Math.Max(Limit ?? 0, limit.Value);
        }
        else if (reader.ValueTextEquals("n"u8) || reader.ValueTextEquals("best_of"u8))
        {
            _choices = Math.Max(_choices, ReadCount(ref reader) ?? 1);
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

    /// <summary>Reads messages, one or several texts, or tokens as numbers. A number is exactly one token.</summary>
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

    /// <summary>Counts all texts within a value, except words of the API (such as roles and types) and media.</summary>
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

    private static long? ReadCount(ref Utf8JsonReader reader)
    {
        reader.Read();
        long? count = reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long value) && value is >= 0 and <= int.MaxValue ? value : null;
        reader.Skip();
        return count;
    }
}
