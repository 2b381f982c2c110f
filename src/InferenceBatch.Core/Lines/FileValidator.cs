using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>
/// Checks a batch file as the service will: every bad line is listed, not the first alone. Used by the client before
/// an upload and by the local service after one. Rules: OpenAI's Batch API document and recorded validation errors.
/// </summary>
/// <param name="rules">What the service asks for.</param>
/// <param name="onRequest">Called for each good request, in file order, with the place it stands in.</param>
public sealed class FileValidator(ValidationRules rules, Action<RequestSpan>? onRequest = null)
{
    /// <summary>What to say of a file that <see cref="LooksLikeUtf16"/>.</summary>
    public const string Utf16Message =
        "The file is UTF-16, the Batch API takes UTF-8. Convert it: (Get-Content FILE) | Set-Content FILE -Encoding utf8NoBOM";

    private const int MaxModelsListed = 100;

    /// <summary>How much of a name from the file a message repeats.</summary>
    private const int LongestQuote = 100;

    private readonly Utf8KeyMap _ids = new();
    private readonly IssueList _issues = new(rules.MaxIssues);
    private readonly List<string> _models = [];
    private byte[] _lastModel = [];
    private bool _lastModelIsFirst;
    private byte[]? _endpoint;
    private int _requests;
    private int _blankLines;
    private int _firstBlankLine;
    private int _carriageReturns;
    private int _linesWithoutUrl;
    private int _firstLineWithoutUrl;

    /// <summary>Checks a file on disk.</summary>
    /// <inheritdoc cref="Validate(Stream, string?, IProgress{long}?, CancellationToken)"/>
    public BatchFileReport Validate(string path, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        return Validate(stream, path, progress, cancellationToken);
    }

    /// <summary>Checks a stream to its end. A validator serves for one file.</summary>
    /// <param name="stream">Read from its present position.</param>
    /// <param name="path">Named in the report.</param>
    /// <param name="progress">Told the bytes read so far, about once a megabyte.</param>
    /// <exception cref="IOException">The file could not be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public BatchFileReport Validate(
        Stream stream, string? path, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        long start = stream.CanSeek ? stream.Position : 0;
        _endpoint = rules.Endpoint is { } endpoint ? Encoding.UTF8.GetBytes(endpoint) : null;
        using var reader = new LineReader(stream, leaveOpen: true, rules.MaxLineBytes, skipsLonger: true, cancellationToken);
        long nextReport = 0;
        while (reader.Read())
        {
            if (reader.Number == 1 && LooksLikeUtf16(reader.Line.Span))
            {
                Add(1, null, IssueCodes.InvalidEncoding, Utf16Message);
                break;
            }

            Check(reader);
            if (reader.NextOffset >= nextReport)
            {
                nextReport = reader.NextOffset + (1 << 20);
                cancellationToken.ThrowIfCancellationRequested();
                progress?.Report(reader.NextOffset);
            }
        }

        long bytes = stream.CanSeek ? stream.Length - start : reader.NextOffset;
        CheckWhole(reader, bytes);
        return new BatchFileReport
        {
            Path = path,
            RequestCount = _requests,
            Bytes = bytes,
            Endpoint = _endpoint is null ? null : Encoding.UTF8.GetString(_endpoint),
            Models = _models,
            Issues = _issues.ByLine(),
            ErrorCount = _issues.ErrorCount,
        };
    }

    /// <summary>Whether bytes at the start of a file say UTF-16: a byte order mark, or a NUL beside the first character.</summary>
    public static bool LooksLikeUtf16(ReadOnlySpan<byte> start) =>
        start.Length >= 2 && (start[0], start[1]) is (0xFF, 0xFE) or (0xFE, 0xFF) or ((byte)'{', 0) or (0, (byte)'{');

    private void Check(LineReader reader)
    {
        ReadOnlySpan<byte> line = reader.Line.Span;
        if (reader.HadCarriageReturn)
        {
            _carriageReturns++;
        }

        if (reader.IsTooLong)
        {
            _requests++;
            Add(reader.Number, null, IssueCodes.LineTooLong, $"The line is longer than {rules.MaxLineBytes:N0} bytes, which is what the service takes.");
            return;
        }

        if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
        {
            _firstBlankLine = _blankLines++ == 0 ? reader.Number : _firstBlankLine;
            return;
        }

        _requests++;
        if (!RequestLine.Parse(line, out RequestLine request, out LineProblem problem))
        {
            Add(reader.Number, null, problem.Code(), problem.Message());
            return;
        }

        int errorsBefore = _issues.ErrorCount;
        CheckShape(reader.Number, in request);
        CheckEndpoint(reader.Number, in request);
        CheckModel(reader.Number, in request);
        if (request.CustomId.Length > 0 && !_ids.TryAdd(request.CustomId, reader.Number, out int first))
        {
            Add(reader.Number, Text(request.CustomId), IssueCodes.DuplicateCustomId,
                $"The custom_id '{Quote(request.CustomId)}' is used on line {first} already; it must be unique in the file.", "custom_id");
        }

        if (_issues.ErrorCount == errorsBefore && onRequest is not null)
        {
            (int idStart, int idLength) = request.IdToken.GetOffsetAndLength(line.Length);
            (int bodyStart, int bodyLength) = request.BodyToken.GetOffsetAndLength(line.Length);
            onRequest(new RequestSpan(reader.Number, reader.Offset, line.Length, idStart, idLength, bodyStart, bodyLength));
        }
    }

    private void CheckShape(int line, in RequestLine request)
    {
        if (RequireString(line, in request, request.IdKind, "custom_id", request.CustomId.Length))
        {
            CheckLength(line, in request, request.CustomId, "custom_id");
        }

        if (request.MethodKind is not (JsonTokenType.None or JsonTokenType.Null) || !rules.MethodIsOptional)
        {
            RequireString(line, in request, request.MethodKind, "method", 1);
        }

        if (request.MethodKind == JsonTokenType.String && !request.IsPost)
        {
            Add(line, Text(request.CustomId), IssueCodes.InvalidRequest, "The method must be 'POST'.", "method");
        }

        if (request.BodyKind != JsonTokenType.StartObject)
        {
            Missing(line, in request, request.BodyKind, "body", "an object");
        }
        else if (request.IsStreaming)
        {
            Add(line, Text(request.CustomId), IssueCodes.StreamingUnsupported,
                "A batch cannot stream its answers: remove 'stream' from the body.", "body.stream");
        }
    }

    private void CheckEndpoint(int line, in RequestLine request)
    {
        if (request.UrlKind is JsonTokenType.None or JsonTokenType.Null && rules.UrlIsOptional)
        {
            _firstLineWithoutUrl = _linesWithoutUrl++ == 0 ? line : _firstLineWithoutUrl;
            return;
        }

        if (!RequireString(line, in request, request.UrlKind, "url", 1))
        {
            return;
        }

        ReadOnlySpan<byte> url = request.Url;
        if (_endpoint is null && IsServed(url))
        {
            _endpoint = url.ToArray();
        }

        if (_endpoint is null)
        {
            Add(line, Text(request.CustomId), IssueCodes.InvalidUrl,
                $"The url '{Quote(url)}' is no endpoint the service has for batches ({string.Join(", ", rules.Endpoints)}).", "url");
        }
        else if (!url.SequenceEqual(_endpoint) && !SameWithoutVersion(url, _endpoint))
        {
            Add(line, Text(request.CustomId), IssueCodes.InvalidUrl,
                $"The URL provided for this request does not match the batch endpoint. ('{Quote(url)}', the batch's is '{Text(_endpoint)}')", "url");
        }
    }

    private void CheckModel(int line, in RequestLine request)
    {
        if (request.BodyKind != JsonTokenType.StartObject)
        {
            return;
        }

        if (request.ModelKind != JsonTokenType.String || request.Model.IsEmpty)
        {
            if (!request.Url.EndsWith("/moderations"u8))
            {
                Missing(line, in request, request.ModelKind, "body.model", "a string");
            }

            return;
        }

        if (!CheckLength(line, in request, request.Model, "body.model"))
        {
            return;
        }

        if (!request.Model.SequenceEqual(_lastModel))
        {
            _lastModel = request.Model.ToArray();
            string model = Text(_lastModel)!;
            bool isNew = !_models.Contains(model) && _models.Count < MaxModelsListed;
            if (isNew)
            {
                _models.Add(model);
            }

            _lastModelIsFirst = model == _models[0];
            if (isNew && !_lastModelIsFirst && !rules.OneModelOnly)
            {
                AddMismatch(line, in request, "some services take one model a file.", IssueSeverity.Warning);
            }
        }

        if (rules.OneModelOnly && !_lastModelIsFirst)
        {
            AddMismatch(line, in request, "this service takes one model a file.", IssueSeverity.Error);
        }
    }

    private void AddMismatch(int line, in RequestLine request, string consequence, IssueSeverity severity) => Add(
        line, Text(request.CustomId), IssueCodes.MismatchedModel,
        $"The line names the model '{Quote(request.Model)}', the first line '{TextCut.Start(_models[0], LongestQuote)}'; {consequence}", "body.model", severity);

    private void CheckWhole(LineReader reader, long bytes)
    {
        _issues.EndLines(reader.Number);
        if (_requests == 0 && _issues.ErrorCount == 0)
        {
            Add(null, null, IssueCodes.EmptyFile, "The file holds no request.");
        }

        if (_requests > rules.MaxRequests)
        {
            Add(null, null, IssueCodes.TooManyRequests,
                $"The file holds {_requests:N0} requests, the service takes {rules.MaxRequests:N0}. Export-BatchFile splits.");
        }

        if (bytes > rules.MaxBytes)
        {
            Add(null, null, IssueCodes.FileTooLarge,
                $"The file holds {bytes:N0} bytes, the service takes {rules.MaxBytes:N0}. Export-BatchFile splits.");
        }

        if (reader.HadByteOrderMark)
        {
            if (rules.RefusesByteOrderMark)
            {
                Add(1, null, IssueCodes.ByteOrderMark,
                    "The file begins with a byte order mark, which this service refuses. Remove it: (Get-Content FILE) | Set-Content FILE -Encoding utf8NoBOM");
            }
            else
            {
                Add(1, null, IssueCodes.ByteOrderMark, "The file begins with a byte order mark; a few services refuse it.", null, IssueSeverity.Remark);
            }
        }

        if (_blankLines > 0)
        {
            Add(_firstBlankLine, null, IssueCodes.BlankLine, PluralFormat.Text($"{_blankLines:N0} blank {_blankLines:line; it is no request|lines; they are no requests}."), null, IssueSeverity.Remark);
        }

        if (_carriageReturns > 0)
        {
            Add(null, null, IssueCodes.CarriageReturn, PluralFormat.Text($"{_carriageReturns:N0} {_carriageReturns:line ends|lines end} with CR LF instead of LF."), null, IssueSeverity.Remark);
        }

        if (_linesWithoutUrl > 0)
        {
            Add(_firstLineWithoutUrl, null, IssueCodes.MissingUrl,
                PluralFormat.Text($"{_linesWithoutUrl:N0} {_linesWithoutUrl:line names|lines name} no url; this service infers it, others refuse it."), "url", IssueSeverity.Remark);
        }
    }

    private bool IsServed(ReadOnlySpan<byte> url)
    {
        foreach (string endpoint in rules.Endpoints)
        {
            byte[] served = Encoding.UTF8.GetBytes(endpoint);
            if (url.SequenceEqual(served) || SameWithoutVersion(url, served))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Azure writes a line's url without <c>/v1</c>; both ways name the same endpoint.</summary>
    private static bool SameWithoutVersion(ReadOnlySpan<byte> url, ReadOnlySpan<byte> endpoint) =>
        WithoutVersion(url).SequenceEqual(WithoutVersion(endpoint));

    private static ReadOnlySpan<byte> WithoutVersion(ReadOnlySpan<byte> url) => url.StartsWith("/v1/"u8) ? url[3..] : url;

    private bool RequireString(int line, in RequestLine request, JsonTokenType kind, string name, int length)
    {
        if (kind == JsonTokenType.String && length > 0)
        {
            return true;
        }

        Missing(line, in request, kind, name, "a string");
        return false;
    }

    private bool CheckLength(int line, in RequestLine request, ReadOnlySpan<byte> name, string param)
    {
        if (name.Length <= rules.MaxNameLength)
        {
            return true;
        }

        int length = Encoding.UTF8.GetString(name).EnumerateRunes().Count();
        if (length <= rules.MaxNameLength)
        {
            return true;
        }

        Add(line, null, IssueCodes.NameTooLong,
            $"Invalid '{param}': string too long. Expected a string with maximum length {rules.MaxNameLength}, but got a string with length {length}.", param);
        return false;
    }

    private void Missing(int line, in RequestLine request, JsonTokenType kind, string name, string wanted)
    {
        if (kind is JsonTokenType.None or JsonTokenType.Null)
        {
            Add(line, Text(request.CustomId), IssueCodes.MissingParameter, $"Missing required parameter: '{name}'.", name);
        }
        else
        {
            Add(line, Text(request.CustomId), IssueCodes.InvalidRequest,
                $"Invalid value for '{name}': {wanted}{(kind == JsonTokenType.String ? " that is not empty" : "")} is wanted.", name);
        }
    }

    private void Add(
        int? line, string? customId, string code, string message, string? param = null, IssueSeverity severity = IssueSeverity.Error) =>
        _issues.Add(new LineIssue(line, customId, code, message, severity, param));

    private static string? Quote(ReadOnlySpan<byte> utf8) => Text(utf8) is { } text ? TextCut.Start(text, LongestQuote) : null;

    private static string? Text(ReadOnlySpan<byte> utf8) => utf8.IsEmpty ? null : Encoding.UTF8.GetString(utf8);
}
