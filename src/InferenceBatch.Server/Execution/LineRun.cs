using System.Collections;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.Execution;

/// <summary>
/// The lines of one input file on their way through the dispatcher: where each stands in the file, which ones have
/// an answer, and the log that the answers go to. About 32 bytes a line.
/// </summary>
internal sealed class LineRun : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SafeFileHandle _input;
    private readonly RequestSpan[] _spans;
    private readonly BitArray _done;
    private int _completed;
    private int _failed;
    private LineUsage _usage;
    private bool _diskFails;

    /// <param name="endpoint">Where the lines are sent.</param>
    /// <param name="inputPath">The file the spans point into.</param>
    /// <param name="spans">The file's requests, in its order.</param>
    /// <param name="openLog">Opens the log; is told what is done already.</param>
    /// <exception cref="IOException">The input or the log cannot be opened.</exception>
    /// <exception cref="InvalidDataException">The log is another input's.</exception>
    public LineRun(string endpoint, string inputPath, RequestSpan[] spans, Func<Action<int, bool, LineUsage>, ResultLog> openLog)
    {
        Endpoint = endpoint;
        _spans = spans;
        _done = new BitArray(spans.Length);
        _input = File.OpenHandle(inputPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            Log = openLog(Recovered);
        }
        catch
        {
            _input.Dispose();
            throw;
        }

        Turn = new LineTurn(_done);
        Meters.AddWaiting(spans.Length - _completed - _failed);
        if (_completed + _failed == spans.Length)
        {
            _finished.SetResult();
        }
    }

    public string Endpoint { get; }

    public ResultLog Log { get; }

    /// <summary>What the dispatcher keeps about this run; guarded by its lock.</summary>
    public LineTurn Turn { get; }

    /// <summary>Ends when every line has an answer in the log.</summary>
    public Task Finished => _finished.Task;

    /// <summary>Set when lines in flight are to be given up.</summary>
    public CancellationToken Aborted => _abort.Token;

    public RequestCounts Counts
    {
        get
        {
            lock (_gate)
            {
                return new RequestCounts(_spans.Length, _completed, _failed);
            }
        }
    }

    public TokenUsage? Usage
    {
        get
        {
            lock (_gate)
            {
                return _usage.ToTokenUsage();
            }
        }
    }

    /// <summary>Gives up the lines in flight; they stay without an answer.</summary>
    public void Abort() => _abort.Cancel();

    public RequestSpan SpanOf(int index) => _spans[index];

    /// <summary>Reads a line's bytes from the input file.</summary>
    /// <exception cref="IOException">The file cannot be read, or has become shorter.</exception>
    public void Read(in RequestSpan span, Span<byte> target)
    {
        for (int read = 0; read < span.Length;)
        {
            int count = RandomAccess.Read(_input, target[read..span.Length], span.Offset + read);
            read += count > 0 ? count : throw new EndOfStreamException("The input file has become shorter.");
        }
    }

    /// <summary>Writes an answer to the log and counts it.</summary>
    /// <exception cref="IOException">It could not be written; it can be tried again.</exception>
    public void AddAnswer(int index, ReadOnlySpan<byte> customIdJson, int statusCode, string requestId, ReadOnlySpan<byte> body, in LineUsage usage)
    {
        Log.AppendAnswer(_spans[index].Line, customIdJson, statusCode, requestId, body);
        Count(index, statusCode is >= 200 and < 300, usage);
    }

    /// <summary>Writes that a line got no answer to the log and counts it.</summary>
    /// <inheritdoc cref="AddAnswer"/>
    public void AddError(int index, ReadOnlyMemory<byte> customIdJson, string code, string message)
    {
        Log.AppendErrors([(_spans[index].Line, customIdJson)], code, message);
        Count(index, isSuccess: false, default);
    }

    /// <summary>Whether this is the first refusal since something was written: one to tell of.</summary>
    public bool NoteDiskFailure()
    {
        lock (_gate)
        {
            bool isFirst = !_diskFails;
            _diskFails = true;
            return isFirst;
        }
    }

    /// <summary>Ends every line that has no answer, for one reason. Not while lines are in flight.</summary>
    /// <exception cref="IOException">Not all could be written; it can be tried again.</exception>
    public void AddErrorToRest(string code, string message)
    {
        const int GroupSize = 1000;
        var group = new List<(int Line, ReadOnlyMemory<byte> CustomIdJson)>(GroupSize);
        var indexes = new List<int>(GroupSize);
        for (int i = 0; i < _spans.Length; i++)
        {
            if (!_done[i])
            {
                RequestSpan span = _spans[i];
                byte[] customId = new byte[span.IdLength];
                Read(new RequestSpan(span.Line, span.Offset + span.IdStart, span.IdLength, 0, 0, 0, 0), customId);
                group.Add((span.Line, customId));
                indexes.Add(i);
            }

            if (group.Count == GroupSize || (i == _spans.Length - 1 && group.Count > 0))
            {
                Log.AppendErrors(group, code, message);
                indexes.ForEach(index => Count(index, isSuccess: false, default));
                group.Clear();
                indexes.Clear();
            }
        }
    }

    public void Dispose()
    {
        Meters.AddWaiting(_completed + _failed - _spans.Length);
        Log.Dispose();
        _input.Dispose();
        _abort.Dispose();
    }

    private void Recovered(int line, bool isSuccess, LineUsage usage)
    {
        int index = IndexOf(line);
        if (index < 0 || _done[index])
        {
            throw new InvalidDataException($"The log answers line {line}, which the input {(index < 0 ? "does not have" : "has once")}.");
        }

        Mark(index, isSuccess, usage);
    }

    private void Count(int index, bool isSuccess, in LineUsage usage)
    {
        Meters.AddWaiting(-1);
        bool isLast;
        lock (_gate)
        {
            Mark(index, isSuccess, usage);
            isLast = _completed + _failed == _spans.Length;
        }

        if (isLast)
        {
            _finished.TrySetResult();
        }
    }

    private void Mark(int index, bool isSuccess, in LineUsage usage)
    {
        _done[index] = true;
        _diskFails = false;
        _completed += isSuccess ? 1 : 0;
        _failed += isSuccess ? 0 : 1;
        _usage += usage;
    }

    private int IndexOf(int line)
    {
        int low = 0;
        int high = _spans.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            if (_spans[middle].Line == line)
            {
                return middle;
            }

            (low, high) = _spans[middle].Line < line ? (middle + 1, high) : (low, middle - 1);
        }

        return -1;
    }
}
