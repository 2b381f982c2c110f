using System.Net;
using System.Net.Http.Headers;
using InferenceBatch.Http;
using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// A file of the service as one forward-only stream. After a broken or stalled connection, it resumes with a byte range or
/// after the last complete line. If the service supports neither, it reads the file from the start again and skips what was
/// read.
/// </summary>
/// <remarks>Throws <see cref="ServiceException"/>; <see cref="ServiceErrorKind.DownloadIncomplete"/> after five attempts in a row without new data.</remarks>
internal sealed class ContentStream(BatchClient client, string fileId, long start = 0, RetryPolicy? policy = null) : ReadOnlyStream
{
    private const int MaxAttemptsWithoutData = 5;
    private static readonly TimeSpan s_readTimeout = TimeSpan.FromSeconds(100);

    /// <summary>Whether the number of lines before the position is known. If an earlier download is resumed, it is not.</summary>
    private readonly bool _linesAreCounted = start == 0;
    private HttpResponseMessage? _response;
    private Stream? _stream;
    private long _position = start;
    private long? _length;

    /// <summary>Whether the service compresses the file. A range would count compressed bytes, so the file is then read from the start.</summary>
    private bool _isEncoded;
    private long _lines;
    private long _lineStart = start;
    private int _attemptsWithoutData;
    private bool _hasNewData;
    private bool _wasRead;

    /// <summary>Whether the service reports that the file is still being written.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>Whether the service has responded with the file.</summary>
    public bool IsOpened { get; private set; }

    public override long Length => _length ?? throw new NotSupportedException("The length of the file is unknown.");

    /// <summary>The size of the whole file in bytes; null before the first read, and if the service does not report it.</summary>
    public long? TotalBytes => _length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Exception problem;
            try
            {
                _stream ??= await OpenAsync(cancellationToken).ConfigureAwait(false);
                int read = await ReadWithTimeoutAsync(_stream, buffer, cancellationToken).ConfigureAwait(false);
                if (read > 0 || _length is null || _position >= _length)
                {
                    Count(buffer.Span[..read]);
                    _hasNewData |= read > 0;
                    _wasRead |= read > 0;
                    return read;
                }

                problem = new IOException(Messages.Text("DownloadIncomplete.EndedEarly", _position, _length));
            }
            catch (DamagedContentException exception) when (_wasRead)
            {
                // The data that was already read may be wrong, so the stream cannot resume.
                throw new ServiceException(
                    ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete.Damaged", fileId, exception.Message), exception);
            }
            catch (Exception exception) when (exception is IOException or HttpRequestException or OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                problem = exception;
            }

            CloseResponse();
            _attemptsWithoutData = _hasNewData ? 0 : _attemptsWithoutData + 1;
            _hasNewData = false;
            if (_attemptsWithoutData >= MaxAttemptsWithoutData)
            {
                throw new ServiceException(
                    ServiceErrorKind.DownloadIncomplete,
                    Messages.Text("DownloadIncomplete.BrokeOff", fileId, _position, problem.Message.TrimEnd('.')), problem);
            }

            await Task.Delay(RetryPolicy.DelayAfter(_attemptsWithoutData + 1, null), client.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    protected override void Dispose(bool disposing)
    {
        CloseResponse();
        base.Dispose(disposing);
    }

    private async Task<Stream> OpenAsync(CancellationToken cancellationToken)
    {
        bool isByLine = _linesAreCounted && client.Connection.Profile.ContentOffsetIsInLines;
        long toSkip = isByLine ? _position - _lineStart : _position;
        try
        {
            _response = await client.OpenContentAsync(
                fileId, isByLine || _isEncoded ? 0 : _position, isByLine ? _lines : 0, policy ?? RetryPolicy.Interactive, cancellationToken).ConfigureAwait(false);
            _isEncoded |= ContentDecoding.IsEncoded(_response.Content);
            if (_isEncoded && _response.StatusCode == HttpStatusCode.PartialContent)
            {
                _response.Dispose();
                _response = await client.OpenContentAsync(fileId, 0, cancellationToken: cancellationToken).ConfigureAwait(false);
            }
        }
        catch (ServiceException exception) when (_position > 0 && exception.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
        {
            // The connection broke at the end of the file, or the file has changed. A read from the start shows which.
            _response = await client.OpenContentAsync(fileId, 0, cancellationToken: cancellationToken).ConfigureAwait(false);
        }

        IsOpened = true;
        IsPartial = _response.Headers.TryGetValues("X-Incomplete", out IEnumerable<string>? values)
            && values.FirstOrDefault()?.Equals("true", StringComparison.OrdinalIgnoreCase) == true;
        Stream stream = await ContentDecoding.OpenAsync(_response.Content, cancellationToken).ConfigureAwait(false);
        if (_response.StatusCode == HttpStatusCode.PartialContent)
        {
            ContentRangeHeaderValue? range = _response.Content.Headers.ContentRange;
            _length = range?.Length ?? _length;
            return range?.From is { } from && from != _position
                ? throw new IOException(Messages.Text("DownloadIncomplete.OtherRange", _position, from)) : stream;
        }

        _length = ContentDecoding.IsEncoded(_response.Content) ? _length : _response.Content.Headers.ContentLength + (_position - toSkip);
        for (long skipped = 0; skipped < toSkip;)
        {
            byte[] skip = new byte[Math.Min(64 * 1024, toSkip - skipped)];
            int read = await ReadWithTimeoutAsync(stream, skip, cancellationToken).ConfigureAwait(false);
            skipped += read > 0 ? read : throw new IOException(Messages.Text("DownloadIncomplete.Shorter"));
        }

        return stream;
    }

    private void Count(ReadOnlySpan<byte> read)
    {
        if (read.LastIndexOf((byte)'\n') is >= 0 and int last)
        {
            _lines += read.Count((byte)'\n');
            _lineStart = _position + last + 1;
        }

        _position += read.Length;
    }

    private async ValueTask<int> ReadWithTimeoutAsync(Stream stream, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ValueTask<int> reading = stream.ReadAsync(buffer, cancellationToken);
        if (reading.IsCompleted)
        {
            return await reading.ConfigureAwait(false);
        }

        // Closing the response ends a stalled read.
        using var timeout = new CancellationTokenSource(s_readTimeout, client.Time);
        HttpResponseMessage response = _response!;
        using CancellationTokenRegistration closing = timeout.Token.UnsafeRegister(_ => response.Dispose(), null);
        return await reading.ConfigureAwait(false);
    }

    private void CloseResponse()
    {
        _stream?.Dispose();
        _response?.Dispose();
        (_stream, _response) = (null, null);
    }
}
