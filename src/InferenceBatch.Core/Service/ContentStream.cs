using System.Net;
using System.Net.Http.Headers;
using InferenceBatch.Http;
using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// A file of the service as one forward stream. When the connection breaks or stalls it goes on where it stood: with a
/// range or behind the last whole line, or, where the service knows neither, from the start again and past what was read.
/// </summary>
/// <remarks>Throws <see cref="ServiceException"/>; <see cref="ServiceErrorKind.DownloadIncomplete"/> when five tries in a row brought nothing.</remarks>
internal sealed class ContentStream(BatchClient client, string fileId, long start = 0, RetryPolicy? policy = null) : ReadOnlyStream
{
    private const int MaxFruitlessTries = 5;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(100);

    /// <summary>Nobody has counted the lines of a part that was brought before.</summary>
    private readonly bool _linesAreCounted = start == 0;
    private HttpResponseMessage? _response;
    private Stream? _stream;
    private long _position = start;
    private long? _length;

    /// <summary>Whether the service has compressed the file. A range would count the compressed bytes: it is read from the start then.</summary>
    private bool _isEncoded;
    private long _lines;
    private long _lineStart = start;
    private int _fruitless;
    private bool _isFruitful;
    private bool _wasRead;

    /// <summary>Whether the service said that the file is still being written.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>Whether the service has answered with the file.</summary>
    public bool IsOpened { get; private set; }

    public override long Length => _length ?? throw new NotSupportedException("The service did not say how long the file is.");

    /// <summary>The size of the whole file in bytes, once the first byte was asked for and where the service says.</summary>
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
                int read = await ReadWithPatienceAsync(_stream, buffer, cancellationToken).ConfigureAwait(false);
                if (read > 0 || _length is null || _position >= _length)
                {
                    Count(buffer.Span[..read]);
                    _isFruitful |= read > 0;
                    _wasRead |= read > 0;
                    return read;
                }

                problem = new IOException(Messages.Text("DownloadIncomplete.EndedEarly", _position, _length));
            }
            catch (DamagedContentException exception) when (_wasRead)
            {
                // What was read already may be wrong, so that nothing can be continued.
                throw new ServiceException(
                    ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete.Damaged", fileId, exception.Message), exception);
            }
            catch (Exception exception) when (exception is IOException or HttpRequestException or OperationCanceledException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                problem = exception;
            }

            Drop();
            _fruitless = _isFruitful ? 0 : _fruitless + 1;
            _isFruitful = false;
            if (_fruitless >= MaxFruitlessTries)
            {
                throw new ServiceException(
                    ServiceErrorKind.DownloadIncomplete,
                    Messages.Text("DownloadIncomplete.BrokeOff", fileId, _position, problem.Message.TrimEnd('.')), problem);
            }

            await Task.Delay(RetryPolicy.DelayAfter(_fruitless + 1, null), client.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    protected override void Dispose(bool disposing)
    {
        Drop();
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
            // It broke off at its very end, or is not what it was: from the start again, which tells.
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
            byte[] waste = new byte[Math.Min(64 * 1024, toSkip - skipped)];
            int read = await ReadWithPatienceAsync(stream, waste, cancellationToken).ConfigureAwait(false);
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

    private async ValueTask<int> ReadWithPatienceAsync(Stream stream, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        ValueTask<int> reading = stream.ReadAsync(buffer, cancellationToken);
        if (reading.IsCompleted)
        {
            return await reading.ConfigureAwait(false);
        }

        // A stalled read is ended by closing the response under it.
        using var patience = new CancellationTokenSource(s_patience, client.Time);
        HttpResponseMessage response = _response!;
        using CancellationTokenRegistration closing = patience.Token.UnsafeRegister(_ => response.Dispose(), null);
        return await reading.ConfigureAwait(false);
    }

    private void Drop()
    {
        _stream?.Dispose();
        _response?.Dispose();
        (_stream, _response) = (null, null);
    }
}
