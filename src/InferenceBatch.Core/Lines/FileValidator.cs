using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Checks a batch file as the service does, and lists every invalid line. The client uses it before an upload, and the local service
/// after one. Rules: OpenAI's Batch API documentation and recorded validation errors.
/// </summary>
/// <param name="rules">The requirements of the service.</param>
/// <param name="onRequest">Called for each valid request, in the order of the file, with its position.</param>
public sealed class FileValidator(ValidationRules rules, Action<RequestSpan>? onRequest = null)
{
    /// <summary>The message for a file that <see cref="LooksLikeUtf16"/>.</summary>
    public const string Utf16Message =
        "The file is UTF-16, but the Batch API requires UTF-8. Convert it: (Get-Content FILE) | Set-Content FILE -Encoding utf8NoBOM";

    private readonly IssueList _issues = new(rules.MaxIssues);
    private readonly MultiLineJson _multiLine = new();
    private bool _isMultiLine;
    private int? _firstLine;
    private int _requests;
    private int _blankLines;
    private int _firstBlankLine;
    private int _carriageReturns;

    /// <summary>Checks a file on disk.</summary>
    /// <inheritdoc cref="Validate(Stream, string?, IProgress{long}?, CancellationToken)"/>
    public BatchFileReport Validate(string path, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        return Validate(stream, path, progress, cancellationToken);
    }

    /// <summary>Checks a stream to its end. Use a new validator for each file.</summary>
    /// <param name="stream">Read from its current position.</param>
    /// <param name="path">The path for the report.</param>
    /// <param name="progress">Receives the number of bytes read, about once per megabyte.</param>
    /// <exception cref="IOException">The file could not be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public BatchFileReport Validate(
        Stream stream, string? path, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        long start = stream.CanSeek ? stream.Position : 0;
        var requests = new RequestValidator(rules, _issues);
        using var reader = new LineReader(stream, leaveOpen: true, rules.MaxLineBytes, skipsLonger: true, cancellationToken);
        long nextReport = 0;
        while (reader.Read())
        {
            if (reader.Number == 1 && LooksLikeUtf16(reader.Line.Span))
            {
                Add(1, IssueCodes.InvalidEncoding, Utf16Message);
                break;
            }

            Check(reader, requests);
            if (_isMultiLine)
            {
                break;
            }

            if (reader.NextOffset >= nextReport)
            {
                nextReport = reader.NextOffset + (1 << 20);
                cancellationToken.ThrowIfCancellationRequested();
                progress?.Report(reader.NextOffset);
            }
        }

        long bytes = stream.CanSeek ? stream.Length - start : reader.NextOffset;
        CheckFile(reader, requests, bytes);
        return new BatchFileReport
        {
            Path = path,
            RequestCount = _requests,
            Bytes = bytes,
            Endpoint = requests.Endpoint,
            Models = requests.Models,
            Issues = _issues.ByLine(),
            ErrorCount = _issues.ErrorCount,
        };
    }

    /// <summary>Whether the first bytes of a file indicate UTF-16: a byte order mark, or a NUL before or after the first brace.</summary>
    public static bool LooksLikeUtf16(ReadOnlySpan<byte> start) =>
        start.Length >= 2 && (start[0], start[1]) is (0xFF, 0xFE) or (0xFE, 0xFF) or ((byte)'{', 0) or (0, (byte)'{');

    private void Check(LineReader reader, RequestValidator requests)
    {
        ReadOnlySpan<byte> line = reader.Line.Span;
        if (reader.HadCarriageReturn)
        {
            _carriageReturns++;
        }

        if (reader.IsTooLong)
        {
            _requests++;
            Add(reader.Number, IssueCodes.LineTooLong, $"The line is longer than {rules.MaxLineBytes:N0} bytes, the limit of the service. Shorten the request.");
            return;
        }

        if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
        {
            _firstBlankLine = _blankLines++ == 0 ? reader.Number : _firstBlankLine;
            return;
        }

        if (_multiLine.EndsWith(line))
        {
            // All issues of its lines have this one cause.
            _isMultiLine = true;
            _requests = 0;
            _issues.Clear();
            Add(_firstLine, IssueCodes.MultiLineJson,
                "The file contains JSON that spans several lines. In JSONL, each request is one line. Write each with ConvertTo-Json -Compress -Depth 20, or use Export-BatchFile.");
            return;
        }

        _firstLine ??= reader.Number;
        _requests++;
        if (!RequestLine.Parse(line, out RequestLine request, out LineProblem problem))
        {
            Add(reader.Number, problem.Code(), problem.Message());
            return;
        }

        int errorsBefore = _issues.ErrorCount;
        requests.Check(reader.Number, in request);
        if (_issues.ErrorCount == errorsBefore && onRequest is not null)
        {
            (int idStart, int idLength) = request.IdToken.GetOffsetAndLength(line.Length);
            (int bodyStart, int bodyLength) = request.BodyToken.GetOffsetAndLength(line.Length);
            onRequest(new RequestSpan(reader.Number, reader.Offset, line.Length, idStart, idLength, bodyStart, bodyLength));
        }
    }

    private void CheckFile(LineReader reader, RequestValidator requests, long bytes)
    {
        _issues.EndLines(reader.Number);
        if (_requests == 0 && _issues.ErrorCount == 0)
        {
            Add(null, IssueCodes.EmptyFile, "The file contains no requests.");
        }

        if (_requests > rules.MaxRequests)
        {
            Add(null, IssueCodes.TooManyRequests,
                $"The file has {_requests:N0} requests, but the service accepts {rules.MaxRequests:N0} at most. Split it: Import-BatchFile FILE | Export-BatchFile NEWFILE");
        }

        if (bytes > rules.MaxBytes)
        {
            Add(null, IssueCodes.FileTooLarge,
                $"The file has {bytes:N0} bytes, but the service accepts {rules.MaxBytes:N0} at most. Split it: Import-BatchFile FILE | Export-BatchFile NEWFILE");
        }

        if (reader.HadByteOrderMark)
        {
            if (rules.RefusesByteOrderMark)
            {
                Add(1, IssueCodes.ByteOrderMark,
                    "The file begins with a byte order mark, which this service rejects. Remove it: (Get-Content FILE) | Set-Content FILE -Encoding utf8NoBOM");
            }
            else
            {
                AddRemark(1, IssueCodes.ByteOrderMark, "The file begins with a byte order mark, which a few services reject.");
            }
        }

        if (_blankLines > 0)
        {
            AddRemark(_firstBlankLine, IssueCodes.BlankLine, PluralFormat.Text($"{_blankLines:N0} blank {_blankLines:line is|lines are} ignored."));
        }

        if (_carriageReturns > 0)
        {
            AddRemark(null, IssueCodes.CarriageReturn, PluralFormat.Text($"{_carriageReturns:N0} {_carriageReturns:line ends|lines end} with CR LF instead of LF."));
        }

        if (requests.LinesWithoutUrl is > 0 and int count)
        {
            AddRemark(requests.FirstLineWithoutUrl, IssueCodes.MissingUrl,
                PluralFormat.Text($"{count:N0} {count:line has|lines have} no url. This service does not need a url, but other services reject such lines."), "url");
        }
    }

    private void Add(int? line, string code, string message) => _issues.Add(new LineIssue(line, null, code, message, IssueSeverity.Error));

    private void AddRemark(int? line, string code, string message, string? param = null) =>
        _issues.Add(new LineIssue(line, null, code, message, IssueSeverity.Remark, param));
}
