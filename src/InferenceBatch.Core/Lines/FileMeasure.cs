using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// Estimates the tokens and the cost of a batch file in one pass. Memory use depends only on the longest line.
/// </summary>
/// <remarks>
/// Input: the text of messages, prompts, inputs, instructions and tools, estimated from its bytes and script (6 to 2 ASCII
/// letters per token, 2 to ½ Chinese characters, and so on: see TokenEstimate), plus 3 to 8 tokens per message and 3 to 30
/// per request for the chat template (OpenAI's cookbook counts 3 and 3; Llama 3's template adds a system message of its
/// own). A schema counts only for the high value. Only the service can count images, audio and files, so they make the high
/// value unknown. Output: from one token per answer to the limit of the request; without a limit, to
/// <see cref="MaxTokens"/>, or unknown; times the number of answers requested. Discounts, such as for cached input, are ignored.
/// </remarks>
/// <param name="prices">The prices of tokens.</param>
public sealed class FileMeasure(PriceTable prices)
{
    private const int MaxModelsListed = 100;

    private readonly List<string> _models = [];
    private readonly List<string> _unpriced = [];
    private string? _model;
    private ModelPrice _price = prices.PriceOf(null);
    private long _inputLow;
    private long? _inputHigh = 0;
    private long _outputLow;
    private long? _outputHigh = 0;
    private decimal? _costLow = 0;
    private decimal? _costHigh = 0;
    private int _requests;
    private int _withMedia;
    private int _withoutLimit;
    private int _unreadable;

    /// <summary>The limit of an answer's tokens for requests that set none; null if there is no limit.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>Measures a stream to its end. Use a new object for each file.</summary>
    /// <param name="stream">Read from its current position.</param>
    /// <param name="path">The path for the result.</param>
    /// <param name="progress">Receives the number of bytes read, about once per megabyte.</param>
    /// <exception cref="TextEncodingException">The file is UTF-16.</exception>
    /// <exception cref="IOException">The file could not be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public BatchFileMeasure Measure(Stream stream, string? path, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        using var reader = new LineReader(stream, leaveOpen: true);
        long nextReport = 0;
        while (reader.Read())
        {
            ReadOnlySpan<byte> line = reader.Line.Span;
            if (reader.Number == 1 && FileValidator.LooksLikeUtf16(line))
            {
                throw new TextEncodingException(Messages.Text("InvalidBatchFile.Utf16", path, FileValidator.Utf16Message));
            }

            if (line.IndexOfAnyExcept(" \t\r"u8) >= 0)
            {
                Add(line);
            }

            if (reader.NextOffset >= nextReport)
            {
                nextReport = reader.NextOffset + (1 << 20);
                cancellationToken.ThrowIfCancellationRequested();
                progress?.Report(reader.NextOffset);
            }
        }

        return new BatchFileMeasure
        {
            Path = path,
            RequestCount = _requests,
            Bytes = reader.NextOffset,
            Models = _models,
            InputTokensLow = _inputLow,
            InputTokensHigh = _inputHigh,
            OutputTokensLow = _outputLow,
            OutputTokensHigh = _outputHigh,
            CostLow = _costLow,
            CostHigh = _costHigh,
            RequestsWithMedia = _withMedia,
            RequestsWithoutLimit = _withoutLimit,
            UnreadableLines = _unreadable,
            UnpricedModels = _unpriced,
        };
    }

    private void Add(ReadOnlySpan<byte> line)
    {
        if (!RequestLine.Parse(line, out RequestLine request, out _) || request.BodyKind != JsonTokenType.StartObject)
        {
            _unreadable++;
            return;
        }

        _requests++;
        SetModel(request.Model);
        BodyMeasure body = BodyMeasure.Of(request.Body);
        bool hasOutput = body.HasOutput(request.Url);
        long outputLow = hasOutput ? body.Choices : 0;
        long? outputHigh = hasOutput ? (body.Limit ?? MaxTokens) * body.Choices : 0;
        _withMedia += body.HasMedia ? 1 : 0;
        _withoutLimit += hasOutput && body.Limit is null ? 1 : 0;

        long? inputHigh = body.HasMedia ? null : body.InputHigh;
        _inputLow += body.InputLow;
        _inputHigh += inputHigh;
        _outputLow += outputLow;
        _outputHigh += outputHigh;

        decimal? cost = _price.CostOf(body.InputLow, outputLow);
        _costLow += cost;
        _costHigh += inputHigh is { } input && outputHigh is { } output ? _price.CostOf(input, output) : null;
        if (cost is null && _model is not null && !_unpriced.Contains(_model) && _unpriced.Count < MaxModelsListed)
        {
            _unpriced.Add(_model);
        }
    }

    private void SetModel(ReadOnlySpan<byte> utf8)
    {
        string model = Ascii.Equals(utf8, _model) ? _model! : Encoding.UTF8.GetString(utf8);
        if (model == _model)
        {
            return;
        }

        _model = model;
        _price = prices.PriceOf(model);
        if (!_models.Contains(model) && _models.Count < MaxModelsListed && model.Length > 0)
        {
            _models.Add(model);
        }
    }
}
