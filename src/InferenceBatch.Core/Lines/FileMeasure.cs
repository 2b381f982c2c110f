using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// Estimates what a batch file would take and cost, in one pass and in memory that grows with its longest line only.
/// </summary>
/// <remarks>
/// Input: the text of messages, prompts, inputs, instructions and tools, from its bytes and script (between 6 and 2
/// ASCII letters a token, 2 and ½ for Chinese, and so on: see TokenEstimate), and 3 to 8 tokens a message, 3 to 30 a
/// request for the chat template (OpenAI's cookbook counts 3 and 3; Llama 3's template adds a system message of its
/// own). A schema counts in the high alone; images, audio and files are the service's to count, and make the high
/// unknown. Output: between one token an answer and the line's own limit, else <see cref="MaxTokens"/>, else unknown;
/// times the answers asked for. Discounts, such as for cached input, are not reckoned with.
/// </remarks>
/// <param name="prices">What tokens cost.</param>
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

    /// <summary>What bounds the answers of lines that set no limit themselves; null for nothing.</summary>
    public long? MaxTokens { get; init; }

    /// <summary>Measures a stream to its end. An object serves for one file.</summary>
    /// <param name="stream">Read from its present position.</param>
    /// <param name="path">Named in the measure.</param>
    /// <param name="progress">Told the bytes read so far, about once a megabyte.</param>
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
        SeeModel(request.Model);
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

    private void SeeModel(ReadOnlySpan<byte> utf8)
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
