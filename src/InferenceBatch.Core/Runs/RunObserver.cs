using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Waiting;

namespace InferenceBatch.Runs;

/// <summary>What a run tells while it goes on; every member may be left as it is.</summary>
public class RunObserver
{
    /// <summary>A part is about to be sent: the place to leave the time a provider asks for.</summary>
    /// <param name="part">The part.</param>
    /// <param name="number">Counted from 1.</param>
    /// <param name="count">Parts of this attempt.</param>
    public virtual Task BeforeUploadAsync(FilePart part, int number, int count, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Bytes of a part were sent.</summary>
    public virtual void OnUpload(FilePart part, long bytes)
    {
    }

    /// <summary>A batch was created.</summary>
    public virtual void OnCreated(Batch batch)
    {
    }

    /// <summary>A batch was looked at.</summary>
    public virtual void OnPolled(Batch batch)
    {
    }

    /// <summary>A batch has not changed for long; see <see cref="BatchWatcher.OnStalled"/>.</summary>
    public virtual void OnStalled(Batch batch, TimeSpan unchanged)
    {
    }

    /// <summary>A batch waits at a local service; see <see cref="BatchWatcher.OnHeld"/>.</summary>
    public virtual void OnHeld(Batch batch, string reason)
    {
    }

    /// <summary>For some time no look has succeeded; see <see cref="BatchWatcher.OnPollsFailing"/>.</summary>
    public virtual void OnPollsFailing(ServiceException trouble)
    {
    }

    /// <summary>A batch failed as a whole: the service refused its file.</summary>
    public virtual void OnBatchFailed(Batch batch)
    {
    }

    /// <summary>A batch was not waited for to its end: the timeout was over, or the service no longer knows it (then with why).</summary>
    /// <param name="batchId">The batch.</param>
    /// <param name="why">Null where the timeout was over.</param>
    /// <param name="trouble">Why the last look before the timeout failed; null where it did not.</param>
    public virtual void OnLeft(string batchId, ServiceException? why, ServiceException? trouble)
    {
    }

    /// <summary>A part could not be sent or its results not be read.</summary>
    public virtual void OnProblem(Exception problem)
    {
    }

    /// <summary>A batch has ended, and the service has not shown all its results for some time: the run waits for them, up to five minutes.</summary>
    public virtual void OnResultsLate(Batch batch)
    {
    }

    /// <summary>One of a batch's two result files cannot be read, and the other holds a result for each request.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="problem">Why the file cannot be read.</param>
    public virtual void OnFileUnread(Batch batch, ServiceException problem)
    {
    }

    /// <summary>For some time no file could be sent and no batch created: the run waits for the service.</summary>
    /// <param name="trouble">What went wrong last.</param>
    /// <param name="since">How long it has lasted.</param>
    public virtual void OnOutage(ServiceException trouble, TimeSpan since)
    {
    }

    /// <summary>For some time the service has had no room for parts of the run, which waits for it.</summary>
    /// <param name="parts">How many parts wait.</param>
    /// <param name="reason">Why the last of them was refused.</param>
    public virtual void OnQueueFull(int parts, ServiceException reason)
    {
    }

    /// <summary>The first results that came from the service in this process have all failed, with one cause.</summary>
    /// <param name="count">How many.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="isResumed">Whether the run has results of an earlier process, which do not count here.</param>
    public virtual void OnAllFailed(int count, BatchResult first, bool isResumed)
    {
    }

    /// <summary>As many requests have failed as may: what is open is cancelled, and nothing more is sent.</summary>
    /// <param name="failed">How many have failed.</param>
    /// <param name="results">Of how many results.</param>
    /// <param name="batches">How many batches are cancelled.</param>
    public virtual void OnStopped(long failed, long results, int batches)
    {
    }

    /// <summary>Another attempt begins.</summary>
    /// <param name="attempt">Counted from 1.</param>
    /// <param name="requests">How many requests it sends.</param>
    public virtual void OnAttempt(int attempt, int requests)
    {
    }
}
