using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>Stops a run when as many requests have failed as may: cancels all batches that have not ended, and says that nothing more is to be sent.</summary>
internal sealed class EarlyStop(BatchClient client, RunStore store, FailureLimit? limit, RunObserver observer)
{
    private readonly HashSet<string> _uncancelled = [];

    /// <summary>What has failed so far.</summary>
    public FailureWatch Failures { get; } = new(limit, observer);

    public bool IsStopped { get; private set; }

    /// <summary>Whether a batch could not be cancelled, so that it is not worth waiting for.</summary>
    public bool IsUncancelled(string batchId) => _uncancelled.Contains(batchId);

    /// <summary>Stops the run if the limit is reached. Whether the run is stopped.</summary>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>: nothing can be cancelled with this key.</exception>
    /// <exception cref="IOException">The store's disk.</exception>
    public async Task<bool> CheckAsync(CancellationToken cancellationToken)
    {
        if (IsStopped || !Failures.IsLimitReached)
        {
            return IsStopped;
        }

        IsStopped = true;
        string[] open = [.. Enumerable.Range(1, store.Attempts).SelectMany(store.PartsOf).Where(part => part is { BatchId: not null, Ended: null }).Select(part => part.BatchId!)];
        store.Write(new RunStep(RunStepKind.Stopped) { At = client.Time.GetUtcNow() });
        observer.OnStopped(Failures.Failed, Failures.Results, open.Length);
        foreach (string id in open)
        {
            try
            {
                await client.CancelBatchAsync(id, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception) when (exception.Kind == ServiceErrorKind.BatchNotCancellable)
            {
                // It has ended: its results are read.
            }
            catch (ServiceException exception) when (exception.Kind != ServiceErrorKind.Unauthorized)
            {
                observer.OnProblem(exception);
                _uncancelled.Add(id);
            }
        }

        return true;
    }
}
