using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Statistics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.Dispatch;

/// <summary>
/// The lines of one input file while they are dispatched: their requests, their results and their counts. The state of each
/// line is in <see cref="Queue"/>. About 32 bytes per line.
/// </summary>
internal sealed class LineRun : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SafeFileHandle _input;
    private readonly RequestSpan[] _spans;
    private readonly LineStatistics _statistics;

    /// <param name="endpoint">The endpoint that the lines are sent to.</param>
    /// <param name="inputPath">The input file.</param>
    /// <param name="spans">The requests of the input file, in its order.</param>
    /// <param name="results">The result files. The run disposes them, also if this constructor throws.</param>
    /// <param name="recovered">What the result files contain. It becomes the run's own.</param>
    /// <exception cref="IOException">The input file cannot be opened.</exception>
    public LineRun(string endpoint, string inputPath, RequestSpan[] spans, ResultFilePair results, RecoveredLines recovered)
    {
        Endpoint = endpoint;
        Results = results;
        Queue = new RunQueue(recovered.Done);
        _spans = spans;
        _statistics = recovered.Statistics;
        try
        {
            _input = File.OpenHandle(inputPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch
        {
            results.Dispose();
            throw;
        }

        Meters.AddWaiting(spans.Length - _statistics.Done);
        if (_statistics.Done == spans.Length)
        {
            _finished.SetResult();
        }
    }

    /// <summary>The name of the run in messages.</summary>
    public string Name { get; init; } = "The run";

    public string Endpoint { get; }

    public ResultFilePair Results { get; }

    /// <summary>The state of the lines. Guarded by the lock of the dispatcher, unless no line is in flight.</summary>
    public RunQueue Queue { get; }

    /// <summary>Ends when every line has a result in the result files. Fails if the run cannot be completed.</summary>
    public Task Finished => _finished.Task;

    /// <summary>Cancelled when the lines in flight must be given up.</summary>
    public CancellationToken Aborted => _abort.Token;

    public RequestCounts Counts
    {
        get
        {
            lock (_gate)
            {
                return new RequestCounts(_spans.Length, _statistics.Completed, _statistics.Failed);
            }
        }
    }

    public TokenUsage? Usage
    {
        get
        {
            lock (_gate)
            {
                return _statistics.Usage.ToTokenUsage();
            }
        }
    }

    /// <summary>The statistics of the finished lines, as JSON.</summary>
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

    /// <summary>Adds the stored latencies and retries of earlier processes, which are not in the result files.</summary>
    public void AddStored(string json)
    {
        lock (_gate)
        {
            _statistics.AddStored(json);
        }
    }

    /// <summary>How often lines were retried.</summary>
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

    /// <summary>Counts a retry.</summary>
    public void AddRetry(RetryReason reason)
    {
        lock (_gate)
        {
            _statistics.Retries.Add(reason);
        }
    }

    /// <summary>Gives up the lines in flight. They have no result then.</summary>
    public void Abort() => _abort.Cancel();

    /// <summary>Ends the run with an error, because it cannot be completed.</summary>
    public void Break(Exception reason) => _finished.TrySetException(reason);

    public RequestSpan SpanOf(int index) => _spans[index];

    /// <summary>Reads a line's bytes from the input file.</summary>
    /// <exception cref="IOException">The file cannot be read, or was truncated.</exception>
    public void Read(in RequestSpan span, Span<byte> target)
    {
        for (int read = 0; read < span.Length;)
        {
            int count = RandomAccess.Read(_input, target[read..span.Length], span.Offset + read);
            read += count > 0 ? count : throw new EndOfStreamException("The input file was truncated while its lines were in progress.");
        }
    }

    /// <summary>Writes the response to a line to its result file and counts it.</summary>
    /// <exception cref="IOException">The result was not written. The call can be retried.</exception>
    public ValueTask AddAnswerAsync(int index, ReadOnlySpan<byte> customIdJson, int statusCode, string requestId, ReadOnlySpan<byte> body, in LineOutcome outcome) =>
        CountAsync(Results.AppendAnswerAsync(_spans[index].Line, customIdJson, statusCode, requestId, body), index, outcome);

    /// <summary>Writes an error instead of a response to the error file and counts it.</summary>
    /// <inheritdoc cref="AddAnswerAsync"/>
    public ValueTask AddErrorAsync(int index, ReadOnlyMemory<byte> customIdJson, string code, string message) =>
        CountAsync(Results.AppendErrorsAsync([(_spans[index].Line, customIdJson)], code, message), index, LineOutcome.OfNoAnswer(code, message));

    /// <summary>Writes the same error for every line that has no result. No line may be in flight.</summary>
    /// <exception cref="IOException">Not all errors were written. The call can be retried.</exception>
    public async Task AddErrorToRestAsync(string code, string message)
    {
        const int GroupSize = 1000;
        var group = new List<(int Line, ReadOnlyMemory<byte> CustomIdJson)>(GroupSize);
        var indexes = new List<int>(GroupSize);
        for (int i = 0; i < _spans.Length; i++)
        {
            if (!Queue.IsDone(i))
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
                foreach (int index in indexes)
                {
                    Queue.MarkDone(index);
                    Count(index, LineOutcome.OfNoAnswer(code, message));
                }

                group.Clear();
                indexes.Clear();
            }
        }
    }

    public void Dispose()
    {
        Meters.AddWaiting(_statistics.Done - _spans.Length);
        Results.Dispose();
        _input.Dispose();
        _abort.Dispose();
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
            _statistics.Add(_spans[index].Line, outcome);
            isLast = _statistics.Done == _spans.Length;
        }

        if (isLast)
        {
            _finished.TrySetResult();
        }
    }
}
