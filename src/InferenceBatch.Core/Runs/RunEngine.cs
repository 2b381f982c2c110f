using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// A whole run: sends the parts of an input, creates their batches, waits for all of them at the same time, downloads the
/// results, and returns one result for each row. Requests that failed for a temporary reason, expired, or are missing are
/// retried (<see cref="RunRetryRules"/>). Each step is in the store before the run relies on it, so the same calls on the
/// same store resume a run that was killed.
/// </summary>
/// <remarks>For one run.</remarks>
public sealed class RunEngine
{
    private readonly BatchClient _client;
    private readonly RunStore _store;
    private readonly RunOptions _options;
    private readonly RunObserver _observer;
    private readonly PartSender _sender;
    private readonly PartFetcher _fetcher;
    private readonly RunAttempts _attempts;
    private readonly EarlyStop _stop;
    private readonly RequestOutcomes _outcomes;
    private readonly PartReader _reader;
    private ExceptionDispatchInfo? _fatal;

    public RunEngine(BatchClient client, RunStore store, RunRequests requests, RunOptions options, RunObserver observer)
    {
        (_client, _store, _options, _observer) = (client, store, options, observer);
        _sender = new PartSender(client, store, options, observer);
        _fetcher = new PartFetcher(client, store, observer);
        _attempts = new RunAttempts(store, requests);
        _stop = new EarlyStop(client, store, options.MaxFailed, observer);
        _outcomes = new RequestOutcomes(requests, _attempts, _stop, options);
        _reader = new PartReader(requests, _outcomes, options, observer);
    }

    /// <summary>The batches of this run that have not ended, as far as the run knows.</summary>
    public IReadOnlyCollection<string> OpenBatches => _sender.OpenBatches;

    /// <summary>The input file of a create that was in flight when the run ended, so that an unknown batch may exist; null if there was none.</summary>
    public string? CreatingFrom => _sender.CreatingFrom;

    /// <summary>The number of attempts so far.</summary>
    public int Attempts => _outcomes.Attempt;

    /// <summary>Whether the run stopped early, because the number of failed requests reached <see cref="RunOptions.MaxFailed"/>.</summary>
    public bool IsStopped => _stop.IsStopped;

    /// <summary>The batches of the run so far, including those of an earlier process.</summary>
    public IReadOnlyList<string> BatchIds => [.. Enumerable.Range(1, Attempts).SelectMany(_store.PartsOf).Select(part => part.BatchId).OfType<string>()];

    /// <summary>The number of results whose ID does not belong to a request of the run.</summary>
    public int Unrequested => _reader.Unrequested;

    /// <summary>Runs. Returns each result when it is final, or all results at the end in order.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; see <see cref="OpenBatches"/>.</exception>
    /// <exception cref="ServiceException">
    /// <see cref="ServiceErrorKind.Unauthorized"/>, or <see cref="ServiceErrorKind.PermissionDenied"/> for an upload or a
    /// create: this key allows no further call. All available results are returned first.
    /// </exception>
    /// <exception cref="IOException">The disk of the store fails.</exception>
    public async IAsyncEnumerable<BatchResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using ResultSpool? spool = _outcomes.Spool;
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
            await foreach (BatchResult result in ReadStoredAsync(cancellationToken).ConfigureAwait(false))
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
            foreach (BatchResult result in _outcomes.InOrder(spool))
            {
                yield return result;
            }
        }

        _fatal?.Throw();
    }

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
            _outcomes.BeginAttempt(parts);
            _observer.OnAttempt(Attempts, parts.Sum(part => part.Places.Count));
            await foreach (BatchResult result in AttemptAsync(parts, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }

            _stop.Failures.EndAttempt();
            int[] retries = _store.PartsOf(Attempts + 1).Count > 0 ? [] : [.. _outcomes.ToRetry];
            if (retries.Length > 0 && !await _stop.CheckAsync(cancellationToken).ConfigureAwait(false))
            {
                _attempts.Write(Attempts + 1, retries, _client.Connection.Profile, _outcomes.HasUserRetry);
                _outcomes.HasUserRetry = false;
            }
        }
    }

    private async IAsyncEnumerable<BatchResult> AttemptAsync(List<PlacedPart> parts, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The results that an earlier process downloaded come first. They need no call, so they do not depend on the service.
        var runner = new PartRunner(_client, _sender, _fetcher, _stop, _options, _observer);
        List<PlacedPart> rest = [];
        foreach (PlacedPart part in parts)
        {
            if (!part.Part.IsDownloaded || runner.Restart(part.Part, part.Part.Ended!) is not null)
            {
                rest.Add(part);
                continue;
            }

            await foreach (BatchResult result in ReadEarlierAsync(part, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }

        rest.RemoveAll(part => part.Places.All(place => _outcomes.IsSettled(place) || _attempts.LastOf(place) > Attempts));
        await foreach (PartOutcome outcome in runner.RunAsync(rest, cancellationToken).ConfigureAwait(false))
        {
            if (outcome.State == PartState.Ended)
            {
                await foreach (BatchResult result in _reader.ReadAsync(outcome.Part, outcome.Problem, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }

            IEnumerable<BatchResult> unanswered = outcome.State switch
            {
                PartState.NotSent => SettleNotSent(outcome),
                PartState.Lost => SettleLost(outcome.Part),
                _ => [],
            };
            foreach (BatchResult result in unanswered)
            {
                yield return result;
            }

            if (outcome.State == PartState.Left)
            {
                _outcomes.Leave(outcome.Part.Places);
            }
        }
    }

    /// <summary>Reads the stored results of the attempts that the run does not reach.</summary>
    private async IAsyncEnumerable<BatchResult> ReadStoredAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (_attempts.PartsOf(Attempts + 1) is { Count: > 0 } parts)
        {
            _outcomes.BeginAttempt(parts);
            foreach (PlacedPart part in parts.Where(part => part.Part.IsDownloaded))
            {
                await foreach (BatchResult result in ReadEarlierAsync(part, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }
        }
    }

    /// <summary>After an early stop: returns the last result of each request that was to be retried, and an error for each request without a result.</summary>
    private async IAsyncEnumerable<BatchResult> CloseAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        _outcomes.IsClosing = true;
        for (int attempt = Attempts; attempt > 0; attempt--)
        {
            foreach (PlacedPart part in _attempts.PartsOf(attempt).Where(part => part.Part.HasResults))
            {
                _outcomes.WaitAgain(part.Places);
                await foreach (BatchResult result in _reader.ReadAsync(part, null, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }
        }

        var notSent = new ServiceError("run_stopped", "The run stopped early because too many requests failed. This request was not sent.");
        var left = new ServiceError("run_stopped", "The run stopped early because too many requests failed. The batch of this request could not be cancelled and may continue.");
        foreach (BatchResult result in _outcomes.NotSettled.SelectMany(place => _outcomes.IsLeft(place)
            ? _outcomes.SettleAs(place, left, null, null, ResultStatus.Missing)
            : _outcomes.SettleAs(place, notSent, null, null, ResultStatus.Cancelled)))
        {
            yield return result;
        }
    }

    private IAsyncEnumerable<BatchResult> ReadEarlierAsync(PlacedPart part, CancellationToken cancellationToken)
    {
        _outcomes.AddEarlierPart(part.Part);
        return _reader.ReadAsync(part, null, cancellationToken);
    }

    /// <summary>Settles the requests of a part that was not sent. A temporary reason is not their failure, so they do not count for <see cref="RunOptions.MaxFailed"/>.</summary>
    private IEnumerable<BatchResult> SettleNotSent(PartOutcome outcome) =>
        _outcomes.WaitingOf(outcome.Part.Places).SelectMany(place => _outcomes.SettleAs(place, outcome.Error!, null, null, isCounted: !outcome.IsTemporary));

    /// <summary>Settles the requests of a batch that the service no longer knows. They may have been answered and billed, so only the user may have them sent again.</summary>
    private IEnumerable<BatchResult> SettleLost(PlacedPart part)
    {
        var error = new ServiceError(RunRetryRules.BatchGoneCode, $"The service no longer knows the batch {part.Part.BatchId}. Whether it answered this request is unknown.");
        return _outcomes.WaitingOf(part.Places).SelectMany(place => _outcomes.SettleAs(place, error, part.Part, part.Part.BatchId, ResultStatus.Missing));
    }
}
