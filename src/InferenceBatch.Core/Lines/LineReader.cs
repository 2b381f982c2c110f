using System.Buffers;
using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>
/// Reads a stream line by line as bytes. Memory use depends on the longest line, not on the size of the file.
/// Lines end at LF; a CR before it is not part of the line. A UTF-8 byte order mark at the start is skipped.
/// </summary>
/// <remarks>
/// After a read returned true, <see cref="Line"/> is valid until the next read. Not thread-safe.
/// </remarks>
public sealed class LineReader : IDisposable
{
    private const int FirstBufferSize = 128 * 1024;

    /// <summary>One gigabyte, which is more than any service accepts for a whole file. A file without a line break in it is not JSONL.</summary>
    internal const int MaxLineLength = 1 << 30;

    private readonly Stream _stream;
    private readonly bool _leaveOpen;
    private readonly int _maxLength;
    private readonly bool _skipsLonger;
    private readonly CancellationToken _cancellation;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(FirstBufferSize);
    private int _start;
    private int _searched;
    private int _end;
    private long _bufferOffset;
    private int _lineLength;
    private long _skipped;
    private bool _atEnd;

    /// <param name="stream">Read from its current position, which is offset 0.</param>
    /// <param name="leaveOpen">Whether disposing the reader leaves the stream open.</param>
    public LineReader(Stream stream, bool leaveOpen = false)
        : this(stream, leaveOpen, MaxLineLength)
    {
    }

    /// <param name="stream">As above.</param>
    /// <param name="leaveOpen">As above.</param>
    /// <param name="maxLength">The maximum length of a line in bytes.</param>
    /// <param name="skipsLonger">Whether a longer line is skipped, see <see cref="IsTooLong"/>; otherwise it is an <see cref="IOException"/>.</param>
    /// <param name="cancellation">Stops <see cref="Read"/> even within a line, which may be as long as the file.</param>
    internal LineReader(Stream stream, bool leaveOpen, int maxLength, bool skipsLonger = false, CancellationToken cancellation = default)
    {
        _cancellation = cancellation;
        _skipsLonger = skipsLonger;
        _stream = stream;
        _leaveOpen = leaveOpen;
        _maxLength = maxLength;
    }

    /// <summary>The current line without its terminator.</summary>
    public ReadOnlyMemory<byte> Line { get; private set; }

    /// <summary>The number of the current line, counted from 1, including blank lines.</summary>
    public int Number { get; private set; }

    /// <summary>The start of the current line, in bytes from the start of the stream, including a byte order mark.</summary>
    public long Offset { get; private set; }

    /// <summary>Whether the current line ends with LF. This can be false only for the last line.</summary>
    public bool IsTerminated { get; private set; }

    /// <summary>Whether the current line ends with CR LF.</summary>
    public bool HadCarriageReturn { get; private set; }

    /// <summary>Whether the current line is longer than allowed. Then <see cref="Line"/> is empty.</summary>
    internal bool IsTooLong { get; private set; }

    /// <summary>Whether the stream began with a UTF-8 byte order mark.</summary>
    public bool HadByteOrderMark { get; private set; }

    /// <summary>The start of the next line, in bytes.</summary>
    public long NextOffset => _bufferOffset + _start;

    /// <summary>Reads the next line. Returns false at the end of the stream.</summary>
    /// <exception cref="IOException">The stream could not be read, or a line is longer than a gigabyte.</exception>
    public bool Read()
    {
        while (!TryTake())
        {
            if (_atEnd)
            {
                return false;
            }

            _cancellation.ThrowIfCancellationRequested();
            MakeRoom();
            AddRead(_stream.Read(_buffer, _end, _buffer.Length - _end));
        }

        return true;
    }

    /// <inheritdoc cref="Read"/>
    public async ValueTask<bool> ReadAsync(CancellationToken cancellationToken = default)
    {
        while (!TryTake())
        {
            if (_atEnd)
            {
                return false;
            }

            MakeRoom();
            AddRead(await _stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false));
        }

        return true;
    }

    public void Dispose()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }

        if (!_leaveOpen)
        {
            _stream.Dispose();
        }
    }

    private bool TryTake()
    {
        if (Number == 0 && !HadByteOrderMark && _skipped == 0 && !SkipByteOrderMark())
        {
            return false;
        }

        int newline = _buffer.AsSpan(_searched, _end - _searched).IndexOf((byte)'\n');
        if (newline >= 0)
        {
            Take(_searched + newline - _start, terminated: true);
            return true;
        }

        _searched = _end;
        if (_atEnd && _end - _start + _skipped > 0)
        {
            Take(_end - _start, terminated: false);
            return true;
        }

        return false;
    }

    private bool SkipByteOrderMark()
    {
        if (_end - _start < 3 && !_atEnd)
        {
            return false;
        }

        if (_buffer.AsSpan(_start, _end - _start).StartsWith("\uFEFF"u8))
        {
            HadByteOrderMark = true;
            _start += 3;
            _searched = _start;
        }

        return true;
    }

    private void Take(int length, bool terminated)
    {
        Offset = NextOffset - _skipped;
        Number++;
        IsTerminated = terminated;
        _lineLength = length;
        HadCarriageReturn = terminated && length > 0 && _buffer[_start + length - 1] == (byte)'\r';
        if (HadCarriageReturn)
        {
            _lineLength--;
        }

        IsTooLong = _skipsLonger && _lineLength + _skipped > _maxLength;
        Line = IsTooLong ? default : _buffer.AsMemory(_start, _lineLength);
        _skipped = 0;
        _start += terminated ? length + 1 : length;
        _searched = _start;
    }

    private void MakeRoom()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _bufferOffset += _start;
            _end -= _start;
            _searched -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            // A CR at the end of a line does not count.
            if (_end > _maxLength + 1L && _skipsLonger)
            {
                _skipped += _end;
                _bufferOffset += _end;
                _end = _searched = 0;
                return;
            }

            if (_end >= _maxLength && !_skipsLonger)
            {
                throw new IOException(Messages.Text("FileUnreadable.LongLine", Number + 1, _maxLength));
            }

            byte[] larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(_buffer.Length * 2L, Array.MaxLength));
            _buffer.AsSpan(0, _end).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }
    }

    private void AddRead(int read)
    {
        _end += read;
        _atEnd = read == 0;
    }
}
