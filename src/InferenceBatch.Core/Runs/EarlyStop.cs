using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>Stops a run when the number of failed requests reaches the limit: cancels all open batches, after which nothing more is sent.</summary>
internal sealed class EarlyStop(BatchClient client, RunStore store, FailureLimit? limit, RunObserver observer)
{
    private readonly HashSet<string> _uncancelled = [];

    /// <summary>Counts the failures so far.</summary>
    public FailureWatch Failures { get; } = new(limit, observer);

    public bool IsStopped { get; private set; }

    /// <summary>Whether a batch could not be cancelled, so that the run does not wait for it.</summary>
    public bool IsUncancelled(string batchId) => _uncancelled.Contains(batchId);

    /// <summary>Stops the run if the limit is reached. Returns whether the run is stopped.</summary>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>: this key cannot cancel batches.</exception>
    /// <exception cref="IOException">The disk of the store fails.</exception>
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
                // The batch has ended, and its results are read.
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
