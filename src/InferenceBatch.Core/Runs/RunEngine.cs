using System.Runtime.CompilerServices;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// A whole run: sends the parts of an input, creates their batches, waits for all of them together, fetches what they
/// answered, and gives one result for each row. What failed for a reason that may pass, expired, or never came back is
/// sent again. Every step is in the store before it is relied on, so a run that was killed is gone on with by the same
/// calls on the same store.
/// </summary>
/// <remarks>For one run. Sent again: 408, 409, 429, 5xx, status 0, <c>inference_failed</c>, expired, missing.</remarks>
public sealed class RunEngine(BatchClient client, RunStore store, RunRequests requests, RunOptions options, RunObserver observer)
{
    /// <summary>The code of a batch that was refused because the account's queue is full.</summary>
    private const string QueueFullCode = "token_limit_exceeded";

    private static readonly TimeSpan s_queueWait = TimeSpan.FromSeconds(60);

    private readonly PartSender _sender = new(client, store, options, observer);
    private readonly State[] _states = new State[requests.Count];
    private readonly Dictionary<int, BatchResult> _lineless = [];
    private ResultSpool? _spool;

    private enum State : byte
    {
        Waiting,
        ToSendAgain,
        Settled,
        Left,
    }

    /// <summary>The batches of this run that have not ended, as far as it knows.</summary>
    public IReadOnlyCollection<string> OpenBatches => _sender.OpenBatches;

    /// <summary>The file a batch was being made of when the run ended, so that there may be one nobody knows of; null when there is none.</summary>
    public string? CreatingFrom => _sender.CreatingFrom;

    /// <summary>How often requests were sent.</summary>
    public int Attempts { get; private set; }

    /// <summary>The batches of the run so far, those of an earlier process included.</summary>
    public IReadOnlyList<string> BatchIds => [.. Enumerable.Range(1, Attempts).SelectMany(store.PartsOf).Select(part => part.BatchId).OfType<string>()];

    /// <summary>Results whose id was none of the requests'.</summary>
    public int NotAskedFor { get; private set; }

    /// <summary>Runs; gives each result as it is final, or all at the end in order.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; see <see cref="OpenBatches"/>.</exception>
    /// <exception cref="IOException">The store's disk.</exception>
    public async IAsyncEnumerable<BatchResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using ResultSpool? spool = _spool = options.Ordered ? new ResultSpool(requests.Count, options.ValueReader) : null;
        while (Parts(Attempts + 1) is { Count: > 0 } parts)
        {
            Attempts++;
            foreach (int place in parts.SelectMany(part => part.Places))
            {
                _states[place] = State.Waiting;
            }

            observer.OnAttempt(Attempts, parts.Sum(part => part.Places.Count));
            await foreach (BatchResult result in AttemptAsync(parts, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }

            if (store.PartsOf(Attempts + 1).Count == 0)
            {
                WriteAgain();
            }
        }

        if (spool is not null)
        {
            foreach (BatchResult result in requests.InOrder(place =>
                _states[place] != State.Settled ? null : _lineless.TryGetValue(place, out BatchResult? lineless) ? lineless : spool.Read(place)))
            {
                yield return result;
            }
        }
    }

    /// <summary>Whether another try may bring a better result.</summary>
    public static bool IsWorthAnotherTry(BatchResult result) => result switch
    {
        { Status: ResultStatus.Expired or ResultStatus.Missing } => true,
        { Status: not ResultStatus.Failed } => false,
        { StatusCode: 0 or 408 or 409 or 429 or >= 500 } => true,
        _ => result.Error?.Code is "inference_failed" or "request_timeout" or "no_response",
    };

    private async IAsyncEnumerable<BatchResult> AttemptAsync(
        List<(RunPart Part, IReadOnlyList<int> Places)> parts, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        int rounds = 0;
        for (var open = parts; open.Count > 0;)
        {
            var sent = new Dictionary<string, (RunPart Part, IReadOnlyList<int> Places)>();
            for (int i = 0; i < open.Count; i++)
            {
                (RunPart part, IReadOnlyList<int> places) = open[i];
                if (await _sender.SendAsync(part, i + 1, open.Count, cancellationToken).ConfigureAwait(false) is { } problem)
                {
                    foreach (BatchResult result in SettleAll(places, problem))
                    {
                        yield return result;
                    }
                }
                else
                {
                    sent.Add(part.BatchId!, open[i]);
                }
            }

            List<(RunPart Part, IReadOnlyList<int> Places)> postponed = [];
            await foreach (Batch batch in WatchAsync(sent, cancellationToken).ConfigureAwait(false))
            {
                (RunPart part, IReadOnlyList<int> places) = sent[batch.Id];
                if (IsQueueFull(batch) && rounds < options.MaxAttempts)
                {
                    _sender.Postpone(part);
                    postponed.Add(sent[batch.Id]);
                    continue;
                }

                _sender.End(part, batch);
                await foreach (BatchResult result in CollectAsync(part, places, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }

            // Its own batches were waited for; where only the account's others fill the queue, time has to help.
            if (postponed.Count > 0 && postponed.Count == sent.Count)
            {
                rounds++;
                await Task.Delay(s_queueWait, client.Time, cancellationToken).ConfigureAwait(false);
            }

            open = postponed;
        }
    }

    private async IAsyncEnumerable<Batch> WatchAsync(
        Dictionary<string, (RunPart Part, IReadOnlyList<int> Places)> sent, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watcher = new BatchWatcher(client, client.Time)
        {
            Timeout = options.Timeout,
            OnLook = observer.OnLook,
            OnStalled = observer.OnStalled,
            OnTrouble = observer.OnTrouble,
            OnHeld = observer.OnHeld,
            OnGivenUp = (id, why) => Leave(id, sent[id].Places, why),
        };
        IEnumerable<(string, Batch?)> batches = sent.Values.Select(one => (one.Part.BatchId!, one.Part.Ended ?? _sender.LastSeen(one.Part)));
        await foreach (Batch batch in watcher.WatchAsync(batches, cancellationToken).ConfigureAwait(false))
        {
            yield return batch;
        }

        foreach (string id in watcher.Waiting)
        {
            Leave(id, sent[id].Places, null, watcher.Trouble);
        }
    }

    private async IAsyncEnumerable<BatchResult> CollectAsync(
        RunPart part, IReadOnlyList<int> places, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Batch batch = part.Ended!;
        if (batch.Status == BatchStatus.Failed)
        {
            observer.OnBatchFailed(batch);
        }

        if (await _sender.FetchAsync(part, cancellationToken).ConfigureAwait(false) is { } problem)
        {
            // What was answered and paid for is still there: it is not sent again, but left to be fetched.
            observer.OnProblem(problem);
            Leave(batch.Id, places, null, isTold: true);
            yield break;
        }

        var reader = new ResultReader(options.ValueReader)
        {
            OnBadLine = (line, why) => observer.OnProblem(new ServiceException(
                ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete", line, batch.Id, why))),
        };
        foreach (string path in new[] { part.OutputPath, part.ErrorPath }.Where(File.Exists))
        {
            _spool?.TakeFrom(path, batch.Id);
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
            await using ConfiguredAsyncDisposable closing = stream.ConfigureAwait(false);
            await foreach (BatchResult line in reader.ReadAsync(stream, batch.Id, cancellationToken).ConfigureAwait(false))
            {
                foreach (BatchResult result in Take(line))
                {
                    yield return result;
                }
            }
        }

        IEnumerable<BatchResult> rest = batch.Status switch
        {
            BatchStatus.Failed => Refuse(batch, places),
            BatchStatus.Cancelled => Cancel(batch, places),
            _ => Miss(places),
        };
        foreach (BatchResult result in rest)
        {
            yield return result;
        }
    }

    /// <summary>Somebody did not want them: they are not sent again, also where the service has no lines for them.</summary>
    private IEnumerable<BatchResult> Cancel(Batch batch, IReadOnlyList<int> places)
    {
        var error = new ServiceError("batch_cancelled", $"The batch {batch.Id} was cancelled before this request was answered.");
        return places.Where(place => _states[place] == State.Waiting).SelectMany(place => SettleAs(place, error, batch.Id, ResultStatus.Cancelled));
    }

    private IEnumerable<BatchResult> Miss(IReadOnlyList<int> places) => places.Where(place => _states[place] == State.Waiting)
        .SelectMany(place => Settle(place, ResultJoiner.MissingResult(requests.Read(place))));

    private IEnumerable<BatchResult> Take(BatchResult result)
    {
        int place = requests.Find(result.CustomId);
        if (place < 0)
        {
            NotAskedFor++;
            return [];
        }

        // A line that failed for a reason that may pass may be followed by the same one answered.
        bool isNews = _states[place] == State.Waiting || (_states[place] == State.ToSendAgain && !IsWorthAnotherTry(result));
        return isNews ? Settle(place, result) : [];
    }

    /// <summary>What a failed batch has not answered, it would not the next time either. One that failed validation has answered nothing.</summary>
    private IEnumerable<BatchResult> Refuse(Batch batch, IReadOnlyList<int> places)
    {
        var byLine = batch.Errors.Where(error => error.Line is not null).ToLookup(error => error.Line!.Value);
        var other = new ServiceError("batch_failed", $"The batch {batch.Id} failed: {(batch.Errors.Count > 0 ? batch.Errors[0] : "the service gave no reason.")}");
        return places.Select((place, index) => (place, index)).Where(one => _states[one.place] == State.Waiting)
            .SelectMany(one => SettleAs(one.place, byLine[one.index + 1].FirstOrDefault() ?? other, batch.Id));
    }

    private IEnumerable<BatchResult> SettleAll(IReadOnlyList<int> places, ServiceError error) =>
        places.SelectMany(place => SettleAs(place, error, null));

    private IEnumerable<BatchResult> SettleAs(int place, ServiceError error, string? batchId, ResultStatus status = ResultStatus.Failed)
    {
        BatchRequest request = requests.Read(place);
        return Settle(
            place,
            new BatchResult { CustomId = request.CustomId, Status = status, Error = error, Request = request, BatchId = batchId });
    }

    /// <summary>Takes a result as the request's last, or marks the request to be sent again; gives it to its rows unless it waits for its order.</summary>
    private IEnumerable<BatchResult> Settle(int place, BatchResult result)
    {
        // A later attempt that is in the store was made from this one, whatever may be asked for now.
        if ((Attempts < options.MaxAttempts || store.PartsOf(Attempts + 1).Count > 0) && IsWorthAnotherTry(result))
        {
            _states[place] = State.ToSendAgain;
            return [];
        }

        _states[place] = State.Settled;
        if (_spool is null)
        {
            return requests.Answer(place, result);
        }

        if (result.JsonUtf8.IsEmpty)
        {
            _lineless[place] = result;
        }
        else
        {
            _spool.Add(place, result);
        }

        return [];
    }

    private void Leave(string batchId, IReadOnlyList<int> places, ServiceException? why, ServiceException? trouble = null, bool isTold = false)
    {
        foreach (int place in places.Where(place => _states[place] == State.Waiting))
        {
            _states[place] = State.Left;
        }

        if (!isTold)
        {
            observer.OnLeft(batchId, why, trouble);
        }
    }

    private static bool IsQueueFull(Batch batch) =>
        batch is { Status: BatchStatus.Failed, OutputFileId: null, RequestCounts.Done: 0 } && batch.Errors.Any(error => error.Code == QueueFullCode);

    /// <summary>The parts of an attempt, each with the places of its requests in its order.</summary>
    private List<(RunPart Part, IReadOnlyList<int> Places)> Parts(int attempt)
    {
        var parts = new List<(RunPart, IReadOnlyList<int>)>();
        int next = 0;
        foreach (RunPart part in store.PartsOf(attempt))
        {
            // The first attempt sends all requests, in their order.
            parts.Add((part, attempt == 1 ? [.. Enumerable.Range(next, part.File.RequestCount)] : PlacesOf(part)));
            next += part.File.RequestCount;
        }

        return parts;
    }

    private int[] PlacesOf(RunPart part)
    {
        using var kept = new KeptRequests([part]);
        var places = new List<int>(part.File.RequestCount);
        for (; kept.Peek() is { } next; kept.Take())
        {
            places.Add(requests.Find(next.Request.CustomId));
        }

        return [.. places];
    }

    private void WriteAgain()
    {
        ServiceProfile profile = client.Connection.Profile;
        using var splitter = new FileSplitter(Path.Combine(store.Folder, $"again-{Attempts}.jsonl"), profile.MaxRequests, profile.MaxBytes, checkIds: false);
        for (int place = 0; place < _states.Length; place++)
        {
            if (_states[place] == State.ToSendAgain)
            {
                splitter.Add(requests.Read(place));
            }
        }

        if (splitter.Count > 0)
        {
            store.AddParts(Attempts + 1, splitter.Rename(overwrite: true));
        }
    }
}
