using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using InferenceBatch.Http;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// A whole run: sends the parts of an input, creates their batches, waits for all of them together, fetches what they
/// answered, and gives one result for each row. What failed for a reason that may pass, expired, or never came back is
/// sent again. Every step is in the store before it is relied on, so a run that was killed is resumed by the same calls on
/// the same store.
/// </summary>
/// <remarks>For one run. Sent again: what <see cref="IsWorthAnotherTry"/> says.</remarks>
public sealed class RunEngine(BatchClient client, RunStore store, RunRequests requests, RunOptions options, RunObserver observer)
{
    /// <summary>The code of requests whose batch the service no longer knows.</summary>
    private const string GoneCode = "batch_not_found";

    /// <summary>The code of requests that were not sent; the same run sends them when it is started again.</summary>
    public const string NotSentCode = "not_sent";

    private readonly PartSender _sender = new(client, store, options, observer);
    private readonly PartFetcher _fetcher = new(client, store, observer);
    private readonly RunAttempts _attempts = new(store, requests);
    private readonly EarlyStop _stop = new(client, store, options.MaxFailed, observer);
    private readonly State[] _states = new State[requests.Count];
    private readonly Dictionary<int, BatchResult> _lineless = [];

    /// <summary>The parts whose results an earlier process had fetched.</summary>
    private readonly HashSet<RunPart> _known = [];

    private ResultSpool? _spool;
    private RunPart? _current;
    private ExceptionDispatchInfo? _fatal;
    private bool _isUncounted;
    private bool _isRetry;
    private bool _isClosing;

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

    /// <summary>Whether the run stopped early, because as many requests had failed as <see cref="RunOptions.MaxFailed"/> allows.</summary>
    public bool IsStopped => _stop.IsStopped;

    /// <summary>The batches of the run so far, those of an earlier process included.</summary>
    public IReadOnlyList<string> BatchIds => [.. Enumerable.Range(1, Attempts).SelectMany(store.PartsOf).Select(part => part.BatchId).OfType<string>()];

    /// <summary>Results whose id was none of the requests'.</summary>
    public int NotAskedFor { get; private set; }

    /// <summary>Runs; gives each result as it is final, or all at the end in order.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; see <see cref="OpenBatches"/>.</exception>
    /// <exception cref="ServiceException">
    /// <see cref="ServiceErrorKind.Unauthorized"/>, or <see cref="ServiceErrorKind.PermissionDenied"/> for an upload or a
    /// create: nothing more can be done with this key. All results that were there are given before.
    /// </exception>
    /// <exception cref="IOException">The store's disk.</exception>
    public async IAsyncEnumerable<BatchResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using ResultSpool? spool = _spool = options.Ordered ? new ResultSpool(requests.Count, options.ValueReader) : null;
        _attempts.Load();
        IAsyncEnumerator<BatchResult> results = AttemptsAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (results.ConfigureAwait(false))
        {
            while (await MoveAsync(results).ConfigureAwait(false))
            {
                yield return results.Current;
            }
        }

        if (_fatal is not null || IsStopped)
        {
            await foreach (BatchResult result in ReadKeptAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        if (IsStopped && _fatal is null)
        {
            await foreach (BatchResult result in CloseAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
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

        _fatal?.Throw();
    }

    /// <summary>Whether another try may bring a better result without anybody changing something.</summary>
    public static bool IsWorthAnotherTry(BatchResult result) => result switch
    {
        { Status: ResultStatus.Expired } => true,
        { Status: ResultStatus.Missing } => !IsPerhapsPaid(result),
        { Status: not ResultStatus.Failed } => false,
        _ when RetryRules.IsFinal(result.Error?.Code) => false,
        { JudgedStatus: { } status } when status == 0 || RetryRules.IsTransient(status) => true,
        _ => result.Error?.Code is "inference_failed" or "request_timeout" or "no_response" or AnswerProblem.NoAnswerCode,
    };

    /// <summary>Whether a request without an answer may have been answered and billed all the same.</summary>
    public static bool IsPerhapsPaid(BatchResult result) => result.Error?.Code is GoneCode or ResultJoiner.UnavailableCode;

    private async Task<bool> MoveAsync(IAsyncEnumerator<BatchResult> results)
    {
        try
        {
            return await results.MoveNextAsync().ConfigureAwait(false);
        }
        catch (ServiceException exception)
        {
            _fatal = ExceptionDispatchInfo.Capture(exception);
            return false;
        }
    }

    private async IAsyncEnumerable<BatchResult> AttemptsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (!IsStopped && _attempts.PartsOf(Attempts + 1) is { Count: > 0 } parts)
        {
            Begin(parts);
            observer.OnAttempt(Attempts, parts.Sum(one => one.Places.Count));
            await foreach (BatchResult result in AttemptAsync(parts, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }

            _stop.Failures.EndAttempt();
            int[] again = store.PartsOf(Attempts + 1).Count > 0 ? []
                : [.. Enumerable.Range(0, _states.Length).Where(place => _states[place] == State.ToSendAgain)];
            if (again.Length > 0 && !await _stop.CheckAsync(cancellationToken).ConfigureAwait(false))
            {
                _attempts.Write(Attempts + 1, again, client.Connection.Profile, _isRetry);
                _isRetry = false;
            }
        }
    }

    private void Begin(List<PlacedPart> parts)
    {
        Attempts++;
        foreach (int place in parts.SelectMany(one => one.Places).Where(place => _states[place] != State.Settled))
        {
            _states[place] = State.Waiting;
        }
    }

    private async IAsyncEnumerable<BatchResult> AttemptAsync(List<PlacedPart> parts, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // What an earlier process fetched comes first: it needs no call, whatever becomes of the others.
        var runner = new PartRunner(client, _sender, _fetcher, _stop, options, observer);
        List<PlacedPart> rest = [];
        foreach (PlacedPart one in parts)
        {
            if (!one.Part.IsDownloaded || runner.Restart(one.Part, one.Part.Ended!) is not null)
            {
                rest.Add(one);
                continue;
            }

            await foreach (BatchResult result in ReadKnownAsync(one, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        rest.RemoveAll(one => one.Places.All(place => _states[place] == State.Settled || _attempts.LastOf(place) > Attempts));
        await foreach (PartNews news in runner.RunAsync(rest, cancellationToken).ConfigureAwait(false))
        {
            (PlacedPart one, PartFate fate, ServiceError? error, bool mayPass, _) = news;
            if (fate == PartFate.Ended)
            {
                await foreach (BatchResult result in ReadAsync(one, news.Problem, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }

            IEnumerable<BatchResult> unanswered = fate switch
            {
                PartFate.NotSent => SettleAll(one.Places, error!, mayPass),
                PartFate.Lost => LoseAll(one),
                _ => [],
            };
            foreach (BatchResult result in unanswered)
            {
                yield return result;
            }

            if (fate == PartFate.Left)
            {
                Leave(one.Places);
            }
        }
    }

    /// <summary>Gives what is on disk of the attempts that the run does not reach any more.</summary>
    private async IAsyncEnumerable<BatchResult> ReadKeptAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (_attempts.PartsOf(Attempts + 1) is { Count: > 0 } parts)
        {
            Begin(parts);
            foreach (PlacedPart one in parts.Where(one => one.Part.IsDownloaded))
            {
                await foreach (BatchResult result in ReadKnownAsync(one, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }
        }
    }

    /// <summary>After an early stop: the last result of each request that was to be sent again, and one for each that has none.</summary>
    private async IAsyncEnumerable<BatchResult> CloseAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        _isClosing = true;
        for (int attempt = Attempts; attempt > 0; attempt--)
        {
            foreach (PlacedPart one in _attempts.PartsOf(attempt).Where(one => one.Part.HasResults))
            {
                foreach (int place in one.Places.Where(place => _states[place] == State.ToSendAgain))
                {
                    _states[place] = State.Waiting;
                }

                await foreach (BatchResult result in ReadAsync(one, null, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }
        }

        var unsent = new ServiceError("run_stopped", "The run stopped early, and this request was not sent: too many others had failed.");
        var left = new ServiceError("run_stopped", "The run stopped early: too many requests had failed. The batch of this one could not be cancelled and may continue.");
        foreach (BatchResult result in Enumerable.Range(0, _states.Length).Where(place => _states[place] != State.Settled)
            .SelectMany(place => _states[place] == State.Left ? SettleAs(place, left, null, ResultStatus.Missing) : SettleAs(place, unsent, null, ResultStatus.Cancelled)))
        {
            yield return result;
        }
    }

    private IAsyncEnumerable<BatchResult> ReadKnownAsync(PlacedPart one, CancellationToken cancellationToken)
    {
        _known.Add(one.Part);
        return ReadAsync(one, null, cancellationToken);
    }

    /// <summary>Reads the results of a part, and settles its requests.</summary>
    /// <param name="one">The part, whose results are on disk.</param>
    /// <param name="problem">Why some of them are not; null when all are.</param>
    /// <param name="cancellationToken">Ends it.</param>
    private async IAsyncEnumerable<BatchResult> ReadAsync(PlacedPart one, ServiceException? problem, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        RunPart part = _current = one.Part;
        IReadOnlyList<int> places = one.Places;
        Batch batch = part.Ended!;
        if (batch.Status == BatchStatus.Failed && !_isClosing)
        {
            observer.OnBatchFailed(batch);
        }

        if (problem is not null)
        {
            observer.OnProblem(problem.Kind != ServiceErrorKind.DownloadIncomplete ? problem
                : new ServiceException(problem.Kind, Messages.Text("DownloadIncomplete.NotWhole", batch.Id, problem.Message), problem));
        }

        var reader = new ResultReader(options.ValueReader)
        {
            AllowsCutOff = true, // Whether the files are whole is known by now.
            OnBadLine = problem is not null ? null : (line, why) => observer.OnProblem(new ServiceException(
                ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete", line, batch.Id, why))),
        };
        using ResultSpool? ownSpool = _spool is null ? new ResultSpool(0, options.ValueReader) : null;
        ResultSpool spool = _spool ?? ownSpool!;
        var failed = new FailedLines(spool);
        foreach (string path in new[] { part.OutputPath, part.ErrorPath }.Where(File.Exists))
        {
            spool.TakeFrom(path, batch.Id, part.File.Endpoint);
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
            await using ConfiguredAsyncDisposable closing = stream.ConfigureAwait(false);
            await foreach (BatchResult line in reader.ReadAsync(stream, batch.Id, part.File.Endpoint, cancellationToken).ConfigureAwait(false))
            {
                foreach (BatchResult result in Take(line, failed))
                {
                    yield return result;
                }
            }
        }

        foreach (BatchResult result in failed.TakeAll().SelectMany(one => Settle(one.Place, one.Result, one.Line)))
        {
            yield return result;
        }

        // Lines that repeat a request may hide that others are missing, though the batch counts an answer for them.
        int answered = places.Count(place => _states[place] != State.Waiting);
        ServiceException? lost = problem ?? (answered < Math.Min(batch.RequestCounts.Done, places.Count) ? PartFetcher.TooFew(batch, answered) : null);
        IEnumerable<BatchResult> rest = batch.Status switch
        {
            BatchStatus.Failed => Refuse(batch, places),
            _ when lost is not null => Withhold(batch, places, lost),
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

    /// <summary>What was answered is paid for: it is not sent again, though its answer cannot be read.</summary>
    private IEnumerable<BatchResult> Withhold(Batch batch, IReadOnlyList<int> places, ServiceException why)
    {
        var error = new ServiceError(
            ResultJoiner.UnavailableCode,
            $"The batch {batch.Id} has ended, but the service does not provide the result of this request: {why.Message} The request may have been answered and billed, so it was not sent again. Get-BatchResult -Id '{batch.Id}' reads the results once the service gives them.");
        return places.Where(place => _states[place] == State.Waiting).SelectMany(place => SettleAs(place, error, batch.Id, ResultStatus.Missing));
    }

    private IEnumerable<BatchResult> Miss(IReadOnlyList<int> places) => places.Where(place => _states[place] == State.Waiting)
        .SelectMany(place => Settle(place, ResultJoiner.MissingResult(requests.Read(place))));

    /// <summary>Takes a line as its request's result; a failure is held back, for a success may follow.</summary>
    private IEnumerable<BatchResult> Take(BatchResult result, FailedLines failed)
    {
        int place = requests.Find(result.CustomId);
        if (place < 0)
        {
            NotAskedFor++;
            return [];
        }

        if (_states[place] == State.Settled)
        {
            return [];
        }

        if (result.Status == ResultStatus.Succeeded)
        {
            failed.Remove(place);
            return Settle(place, result);
        }

        if (_states[place] == State.Waiting)
        {
            failed.Add(place, result);
        }

        return [];
    }

    /// <summary>What a failed batch has not answered, it would not the next time either. One that failed validation has answered nothing.</summary>
    private IEnumerable<BatchResult> Refuse(Batch batch, IReadOnlyList<int> places)
    {
        var byLine = batch.Errors.Where(error => error.Line is not null).ToLookup(error => error.Line!.Value);
        var other = new ServiceError("batch_failed", $"The batch {batch.Id} failed: {(batch.Errors.Count > 0 ? batch.Errors[0] : "the service gave no reason.")}");
        return places.Select((place, index) => (place, index)).Where(one => _states[one.place] == State.Waiting)
            .SelectMany(one => SettleAs(one.place, byLine[one.index + 1].FirstOrDefault() ?? other, batch.Id));
    }

    /// <param name="places">The requests of a part that was not sent.</param>
    /// <param name="error">Why.</param>
    /// <param name="mayPass">Whether that is no failure of theirs: they do not count for <see cref="RunOptions.MaxFailed"/>.</param>
    private IEnumerable<BatchResult> SettleAll(IReadOnlyList<int> places, ServiceError error, bool mayPass)
    {
        (_current, _isUncounted) = (null, mayPass);
        return places.Where(place => _states[place] == State.Waiting).SelectMany(place => SettleAs(place, error, null));
    }

    /// <summary>The service no longer knows a batch: its requests may have been answered and billed, so only a person has them sent again.</summary>
    private IEnumerable<BatchResult> LoseAll(PlacedPart one)
    {
        _current = one.Part;
        var error = new ServiceError(GoneCode, $"The service no longer knows the batch {one.Part.BatchId}; whether it had answered this request is unknown.");
        return one.Places.Where(place => _states[place] == State.Waiting).SelectMany(place => SettleAs(place, error, one.Part.BatchId, ResultStatus.Missing));
    }

    private IEnumerable<BatchResult> SettleAs(int place, ServiceError error, string? batchId, ResultStatus status = ResultStatus.Failed)
    {
        BatchRequest request = requests.Read(place);
        return Settle(
            place,
            new BatchResult { CustomId = request.CustomId, Status = status, Error = error, Request = request, BatchId = batchId });
    }

    /// <summary>Takes a result as the request's last, or marks the request to be sent again; gives it to its rows unless it waits for its order.</summary>
    /// <param name="place">The request.</param>
    /// <param name="result">Its result.</param>
    /// <param name="line">Where the spool has the result's line; null when it is the one that was just read, or there is none.</param>
    private IEnumerable<BatchResult> Settle(int place, BatchResult result, LinePlace? line = null)
    {
        bool isKnown = _current is not null && _known.Contains(_current);
        if (_current is not null && !isKnown && !_isClosing)
        {
            _stop.Failures.Observe(result, isResumed: _known.Count > 0);
        }

        if (IsSentAgain(place, result, isKnown))
        {
            _states[place] = State.ToSendAgain;
            return [];
        }

        if (_current is not { EndedBeforeStop: true } && !(_current is null && _isUncounted))
        {
            _stop.Failures.Settled(result);
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
            _spool.Add(place, line ?? _spool.Keep(result));
        }

        return [];
    }

    private bool IsSentAgain(int place, BatchResult result, bool isKnown)
    {
        if (_isClosing || result.Status == ResultStatus.Succeeded)
        {
            return false;
        }

        // A later attempt that is in the store was made from this one, whatever is asked for now.
        if (_attempts.LastOf(place) > Attempts)
        {
            return true;
        }

        bool isResumed = result.Status == ResultStatus.Cancelled && _current is { WasStopped: true } && !IsStopped;
        bool isRetried = options.RetryFailed && Attempts <= _attempts.AtStart && FailureWatch.HasFailed(result) && (isKnown || IsPerhapsPaid(result));
        _isRetry |= isResumed || isRetried;
        if (isResumed || isRetried)
        {
            return true;
        }

        bool isSentAgain = _attempts.TryOf(Attempts) < options.MaxAttempts && IsWorthAnotherTry(result);
        if (isSentAgain && _current is not { EndedBeforeStop: true })
        {
            _stop.Failures.WillBeSentAgain();
        }

        return isSentAgain;
    }

    private void Leave(IReadOnlyList<int> places)
    {
        foreach (int place in places.Where(place => _states[place] == State.Waiting))
        {
            _states[place] = State.Left;
        }
    }
}
