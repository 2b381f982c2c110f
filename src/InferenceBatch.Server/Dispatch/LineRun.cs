using System.Collections;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Statistics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.Dispatch;

/// <summary>
/// The lines of one input file on their way through the dispatcher: where each stands in the file, which ones have
/// an answer, and the result files that the answers go to. About 32 bytes a line.
/// </summary>
internal sealed class LineRun : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SafeFileHandle _input;
    private readonly RequestSpan[] _spans;
    private readonly BitArray _done;
    private readonly LineStatistics _statistics = new();
    private int _completed;
    private int _failed;
    private LineUsage _usage;

    /// <param name="endpoint">Where the lines are sent.</param>
    /// <param name="inputPath">The file the spans point into.</param>
    /// <param name="spans">The file's requests, in its order.</param>
    /// <param name="openResults">Opens the result files; is told what is done already.</param>
    /// <exception cref="IOException">The input or a result file cannot be opened.</exception>
    /// <exception cref="InvalidDataException">The result files are another input's.</exception>
    public LineRun(string endpoint, string inputPath, RequestSpan[] spans, Func<Func<int, LineOutcome, bool>, ResultFilePair> openResults)
    {
        Endpoint = endpoint;
        _spans = spans;
        _done = new BitArray(spans.Length);
        _input = File.OpenHandle(inputPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            Results = openResults(Recovered);
        }
        catch
        {
            _input.Dispose();
            throw;
        }

        Queue = new RunQueue(_done);
        Meters.AddWaiting(spans.Length - _completed - _failed);
        if (_completed + _failed == spans.Length)
        {
            _finished.SetResult();
        }
    }

    /// <summary>Whose lines they are, for messages.</summary>
    public string Name { get; init; } = "The run";

    public string Endpoint { get; }

    public ResultFilePair Results { get; }

    /// <summary>What the dispatcher keeps about this run; guarded by its lock.</summary>
    public RunQueue Queue { get; }

    /// <summary>Ends when every line has an answer in the result files; fails when that can never be.</summary>
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

    /// <summary>What the ended lines add up to, as JSON.</summary>
    public string Statistics
    {
        get
        {
            lock (_gate)
            {
                return _statistics.ToJson();
            }
        }
    }

    /// <summary>Adds what was kept before the run was opened and is not in the result files: latencies and retries.</summary>
    public void AddKept(string json)
    {
        lock (_gate)
        {
            _statistics.AddKept(json);
        }
    }

    /// <summary>How often lines were sent again.</summary>
    public RetryCounts Retries
    {
        get
        {
            lock (_gate)
            {
                return _statistics.Retries.Counts;
            }
        }
    }

    /// <summary>Counts a line that is sent again.</summary>
    public void AddRetry(RetryReason reason)
    {
        lock (_gate)
        {
            _statistics.Retries.Add(reason);
        }
    }

    /// <summary>Gives up the lines in flight; they stay without an answer.</summary>
    public void Abort() => _abort.Cancel();

    /// <summary>Ends the run as one that cannot go on.</summary>
    public void Break(Exception reason) => _finished.TrySetException(reason);

    public RequestSpan SpanOf(int index) => _spans[index];

    /// <summary>Reads a line's bytes from the input file.</summary>
    /// <exception cref="IOException">The file cannot be read, or has become shorter.</exception>
    public void Read(in RequestSpan span, Span<byte> target)
    {
        for (int read = 0; read < span.Length;)
        {
            int count = RandomAccess.Read(_input, target[read..span.Length], span.Offset + read);
            read += count > 0 ? count : throw new EndOfStreamException("The input file has become shorter while its lines were run.");
        }
    }

    /// <summary>Writes an answer to its result file and counts it.</summary>
    /// <exception cref="IOException">It could not be written; it can be tried again.</exception>
    public ValueTask AddAnswerAsync(int index, ReadOnlySpan<byte> customIdJson, int statusCode, string requestId, ReadOnlySpan<byte> body, in LineOutcome outcome) =>
        CountAsync(Results.AppendAnswerAsync(_spans[index].Line, customIdJson, statusCode, requestId, body), index, outcome);

    /// <summary>Writes that a line got no answer to the error file and counts it.</summary>
    /// <inheritdoc cref="AddAnswerAsync"/>
    public ValueTask AddErrorAsync(int index, ReadOnlyMemory<byte> customIdJson, string code, string message) =>
        CountAsync(Results.AppendErrorsAsync([(_spans[index].Line, customIdJson)], code, message), index, LineOutcome.OfNoAnswer(code, message));

    /// <summary>Ends every line that has no answer, for one reason. Not while lines are in flight.</summary>
    /// <exception cref="IOException">Not all could be written; it can be tried again.</exception>
    public async Task AddErrorToRestAsync(string code, string message)
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
                await Results.AppendErrorsAsync(group, code, message);
                indexes.ForEach(index => Count(index, LineOutcome.OfNoAnswer(code, message)));
                group.Clear();
                indexes.Clear();
            }
        }
    }

    public void Dispose()
    {
        Meters.AddWaiting(_completed + _failed - _spans.Length);
        Results.Dispose();
        _input.Dispose();
        _abort.Dispose();
    }

    private bool Recovered(int line, LineOutcome outcome)
    {
        int index = IndexOf(line);
        if (index < 0 || _done[index])
        {
            return false;
        }

        Mark(index, outcome);
        return true;
    }

    private async ValueTask CountAsync(ValueTask written, int index, LineOutcome outcome)
    {
        await written;
        Count(index, outcome);
    }

    private void Count(int index, in LineOutcome outcome)
    {
        Meters.AddWaiting(-1);
        bool isLast;
        lock (_gate)
        {
            Mark(index, outcome);
            isLast = _completed + _failed == _spans.Length;
        }

        if (isLast)
        {
            _finished.TrySetResult();
        }
    }

    private void Mark(int index, in LineOutcome outcome)
    {
        _done[index] = true;
        _completed += outcome.IsSuccess ? 1 : 0;
        _failed += outcome.IsSuccess ? 0 : 1;
        _usage += outcome.Usage;
        _statistics.Add(_spans[index].Line, outcome);
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
