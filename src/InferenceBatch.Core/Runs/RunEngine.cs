using System.Runtime.CompilerServices;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// A whole run: sends the parts of a spooled input, creates their batches, waits for all of them together, and gives one
/// result for each request. What failed for a reason that may pass, expired, or never came back is sent again.
/// </summary>
/// <remarks>For one run. Sent again: 408, 409, 429, 5xx, status 0, <c>inference_failed</c>, expired, missing.</remarks>
public sealed class RunEngine(BatchClient client, IRequestSource requests, RunOptions options, RunObserver observer)
{
    private readonly State[] _states = new State[requests.Count];
    private readonly Dictionary<int, BatchResult> _lineless = [];
    private readonly List<string> _open = [];
    private ResultSpool? _spool;
    private int _attempt;

    private enum State : byte
    {
        Waiting,
        ToSendAgain,
        Settled,
        Left,
    }

    /// <summary>The batches this run created that have not ended, as far as it knows.</summary>
    public IReadOnlyList<string> OpenBatches
    {
        get
        {
            lock (_open)
            {
                return [.. _open];
            }
        }
    }

    /// <summary>Results whose id was none of the requests'.</summary>
    public int NotAskedFor { get; private set; }

    /// <summary>Runs; gives each result as it is final, or all at the end in order.</summary>
    /// <param name="parts">The requests as files, in order.</param>
    /// <exception cref="OperationCanceledException">Cancelled; see <see cref="OpenBatches"/>.</exception>
    public async IAsyncEnumerable<BatchResult> RunAsync(
        IReadOnlyList<FilePart> parts, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using ResultSpool? spool = _spool = options.Ordered ? new ResultSpool(requests.Count, options.ValueReader) : null;
        List<(FilePart File, IReadOnlyList<int> Places)> sending = WithPlaces(parts);
        for (_attempt = 1; sending.Count > 0; _attempt++)
        {
            observer.OnAttempt(_attempt, sending.Sum(part => part.Places.Count));
            await foreach (BatchResult result in AttemptAsync(sending, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }

            sending = WriteAgain();
        }

        for (int place = 0; options.Ordered && place < requests.Count; place++)
        {
            if (_states[place] == State.Settled)
            {
                yield return _lineless.TryGetValue(place, out BatchResult? result) ? result : Joined(spool!.Read(place), place);
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
        List<(FilePart File, IReadOnlyList<int> Places)> parts, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var places = new Dictionary<string, IReadOnlyList<int>>();
        List<Batch> created = [];
        for (int i = 0; i < parts.Count; i++)
        {
            await observer.BeforeUploadAsync(parts[i].File, i + 1, parts.Count, cancellationToken).ConfigureAwait(false);
            ServiceError? refused = null;
            try
            {
                Batch batch = await CreateAsync(parts[i].File, cancellationToken).ConfigureAwait(false);
                created.Add(batch);
                places.Add(batch.Id, parts[i].Places);
            }
            catch (Exception exception) when (exception is ServiceException or IOException)
            {
                observer.OnProblem(exception);
                refused = new ServiceError("not_sent", exception.Message);
            }

            foreach (BatchResult result in refused is null ? [] : SettleAll(parts[i].Places, refused))
            {
                yield return result;
            }
        }

        var watcher = new BatchWatcher(client) 
        {
            Timeout = options.Timeout,
            OnLook = observer.OnLook,
            OnStalled = observer.OnStalled,
            OnGivenUp = (id, why) => Leave(id, places[id], why),
        };
        await foreach (Batch batch in watcher.WatchAsync(created.Select(batch => (batch.Id, (Batch?)batch)), cancellationToken).ConfigureAwait(false))
        {
            Close(batch.Id);
            if (batch.Status == BatchStatus.Failed)
            {
                foreach (BatchResult result in Refuse(batch, places[batch.Id]))
                {
                    yield return result;
                }

                continue;
            }

            await foreach (BatchResult result in CollectAsync(batch, places[batch.Id], cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        foreach (string id in watcher.Waiting)
        {
            Leave(id, places[id], null);
        }
    }

    private async Task<Batch> CreateAsync(FilePart part, CancellationToken cancellationToken)
    {
        BatchFile file = await client.UploadFileAsync(
            part.Path, Path.GetFileName(part.Path), null, new Uploaded(observer, part), cancellationToken).ConfigureAwait(false);
        Batch batch = await client.CreateBatchAsync(
            new NewBatch
            {
                InputFileId = file.Id,
                Endpoint = part.Endpoint,
                CompletionWindow = options.CompletionWindow,
                Metadata = options.Metadata,
            },
            cancellationToken).ConfigureAwait(false);
        lock (_open)
        {
            _open.Add(batch.Id);
        }

        observer.OnCreated(batch);
        return batch;
    }

    private async IAsyncEnumerable<BatchResult> CollectAsync(
        Batch batch, IReadOnlyList<int> places, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var reader = new ResultReader(options.ValueReader)
        {
            OnBadLine = (line, why) => observer.OnProblem(new ServiceException(
                ServiceErrorKind.DownloadIncomplete, $"Line {line} of the results of {batch.Id} cannot be read: {why}")),
        };
        bool isComplete = true;
        IAsyncEnumerator<BatchResult> results = reader.ReadAsync(client, batch, cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (results.ConfigureAwait(false))
        {
            while (true)
            {
                try
                {
                    if (!await results.MoveNextAsync().ConfigureAwait(false))
                    {
                        break;
                    }
                }
                catch (Exception exception) when (exception is ServiceException or IOException)
                {
                    // What was answered and paid for is still there: it is not sent again, but left to be fetched.
                    observer.OnProblem(exception);
                    isComplete = false;
                    break;
                }

                int place = requests.Find(results.Current.CustomId);
                if (place < 0)
                {
                    NotAskedFor++;
                }
                else if (_states[place] == State.Waiting && Settle(place, results.Current) is { } result)
                {
                    yield return result;
                }
            }
        }

        foreach (int place in places.Where(place => _states[place] == State.Waiting))
        {
            if (!isComplete)
            {
                _states[place] = State.Left;
            }
            else if (Settle(place, ResultJoiner.MissingResult(requests.Read(place))) is { } result)
            {
                yield return result;
            }
        }
    }

    /// <summary>A batch that failed validation answers none of its requests, and would not the next time either.</summary>
    private IEnumerable<BatchResult> Refuse(Batch batch, IReadOnlyList<int> places)
    {
        observer.OnBatchFailed(batch);
        var byLine = batch.Errors.Where(error => error.Line is not null).ToLookup(error => error.Line!.Value);
        var other = new ServiceError("batch_failed", $"The batch {batch.Id} failed: {(batch.Errors.Count > 0 ? batch.Errors[0] : "the service gave no reason.")}");
        for (int i = 0; i < places.Count; i++)
        {
            if (SettleAs(places[i], byLine[i + 1].FirstOrDefault() ?? other, batch.Id) is { } result)
            {
                yield return result;
            }
        }
    }

    private IEnumerable<BatchResult> SettleAll(IReadOnlyList<int> places, ServiceError error) =>
        places.Select(place => SettleAs(place, error, null)).OfType<BatchResult>();

    private BatchResult? SettleAs(int place, ServiceError error, string? batchId)
    {
        BatchRequest request = requests.Read(place);
        return Settle(
            place,
            new BatchResult { CustomId = request.CustomId, Status = ResultStatus.Failed, Error = error, Request = request, BatchId = batchId });
    }

    /// <summary>Takes a result as the request's last, or marks the request to be sent again; gives it unless it waits for its order.</summary>
    private BatchResult? Settle(int place, BatchResult result)
    {
        if (_attempt < options.MaxAttempts && IsWorthAnotherTry(result))
        {
            _states[place] = State.ToSendAgain;
            return null;
        }

        _states[place] = State.Settled;
        if (_spool is null)
        {
            return Joined(result, place);
        }

        if (result.JsonUtf8.IsEmpty)
        {
            _lineless[place] = result;
        }
        else
        {
            _spool.Add(place, result);
        }

        return null;
    }

    private BatchResult Joined(BatchResult result, int place)
    {
        result.Request ??= requests.Read(place);
        return result;
    }

    private void Leave(string batchId, IReadOnlyList<int> places, ServiceException? why)
    {
        foreach (int place in places.Where(place => _states[place] == State.Waiting))
        {
            _states[place] = State.Left;
        }

        observer.OnLeft(batchId, why);
    }

    private void Close(string batchId)
    {
        lock (_open)
        {
            _open.Remove(batchId);
        }
    }

    private static List<(FilePart File, IReadOnlyList<int> Places)> WithPlaces(IReadOnlyList<FilePart> parts)
    {
        var result = new List<(FilePart, IReadOnlyList<int>)>();
        int first = 0;
        foreach (FilePart part in parts)
        {
            result.Add((part, Enumerable.Range(first, part.RequestCount).ToArray()));
            first += part.RequestCount;
        }

        return result;
    }

    private List<(FilePart File, IReadOnlyList<int> Places)> WriteAgain()
    {
        int[] again = [.. Enumerable.Range(0, _states.Length).Where(place => _states[place] == State.ToSendAgain)];
        if (again.Length == 0)
        {
            return [];
        }

        ServiceProfile profile = client.Connection.Profile;
        using var splitter = new FileSplitter(Path.Combine(options.Folder, $"attempt-{_attempt + 1}.jsonl"), profile.MaxRequests, profile.MaxBytes);
        foreach (int place in again)
        {
            splitter.Add(requests.Read(place));
            _states[place] = State.Waiting;
        }

        var parts = new List<(FilePart, IReadOnlyList<int>)>();
        int first = 0;
        foreach (FilePart part in splitter.Rename(overwrite: true))
        {
            parts.Add((part, again[first..(first + part.RequestCount)]));
            first += part.RequestCount;
        }

        return parts;
    }

    private sealed class Uploaded(RunObserver observer, FilePart part) : IProgress<long>
    {
        public void Report(long value) => observer.OnUpload(part, value);
    }
}
