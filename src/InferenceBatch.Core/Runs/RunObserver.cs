using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Waiting;

namespace InferenceBatch.Runs;

/// <summary>Receives the events of a run. Override the methods you need; the others do nothing.</summary>
public class RunObserver
{
    /// <summary>A part is about to be uploaded. An override can wait for the interval that a provider requires.</summary>
    /// <param name="part">The part.</param>
    /// <param name="number">The number of the part, counted from 1.</param>
    /// <param name="count">The number of parts in this attempt.</param>
    public virtual Task BeforeUploadAsync(FilePart part, int number, int count, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Bytes of a part were sent.</summary>
    public virtual void OnUpload(FilePart part, long bytes)
    {
    }

    /// <summary>A batch was created.</summary>
    public virtual void OnCreated(Batch batch)
    {
    }

    /// <summary>A batch was polled.</summary>
    public virtual void OnPolled(Batch batch)
    {
    }

    /// <summary>A batch has not changed for a long time; see <see cref="BatchWatcher.OnStalled"/>.</summary>
    public virtual void OnStalled(Batch batch, TimeSpan unchanged)
    {
    }

    /// <summary>A batch waits at a local service; see <see cref="BatchWatcher.OnHeld"/>.</summary>
    public virtual void OnHeld(Batch batch, string reason)
    {
    }

    /// <summary>No poll has succeeded for some time; see <see cref="BatchWatcher.OnPollsFailing"/>.</summary>
    public virtual void OnPollsFailing(ServiceException failure)
    {
    }

    /// <summary>A batch failed as a whole: the service refused its file.</summary>
    public virtual void OnBatchFailed(Batch batch)
    {
    }

    /// <summary>The wait for a batch ended before the batch: the timeout was reached, or the service no longer knows the batch.</summary>
    /// <param name="batchId">The batch.</param>
    /// <param name="reason">The error that ended the wait; null at a timeout.</param>
    /// <param name="lastFailure">The error of the last poll before the timeout; null if it succeeded.</param>
    public virtual void OnWaitEnded(string batchId, ServiceException? reason, ServiceException? lastFailure)
    {
    }

    /// <summary>A part could not be sent, or its results could not be read.</summary>
    public virtual void OnProblem(Exception problem)
    {
    }

    /// <summary>A batch has ended, but the service has not shown all its results for some time. The run waits for them, up to five minutes.</summary>
    public virtual void OnResultsLate(Batch batch)
    {
    }

    /// <summary>One of a batch's two result files cannot be read, but the other one contains a result for each request.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="problem">Why the file cannot be read.</param>
    public virtual void OnFileUnreadable(Batch batch, ServiceException problem)
    {
    }

    /// <summary>For some time, no file could be uploaded and no batch created. The run waits for the service.</summary>
    /// <param name="failure">The last error.</param>
    /// <param name="duration">The duration of the outage so far.</param>
    public virtual void OnOutage(ServiceException failure, TimeSpan duration)
    {
    }

    /// <summary>For some time, the service has had no room for parts of the run. The run waits.</summary>
    /// <param name="parts">The number of waiting parts.</param>
    /// <param name="reason">Why the last part was refused.</param>
    public virtual void OnQueueFull(int parts, ServiceException reason)
    {
    }

    /// <summary>The first results that this process received from the service have all failed with the same error code.</summary>
    /// <param name="count">The number of results.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="isResumed">Whether the run also has results of an earlier process, which are not counted here.</param>
    public virtual void OnAllFailed(int count, BatchResult first, bool isResumed)
    {
    }

    /// <summary>The number of failed requests reached the limit. The open batches are cancelled, and nothing more is sent.</summary>
    /// <param name="failed">The number of failed results.</param>
    /// <param name="results">The number of results.</param>
    /// <param name="batches">The number of batches to cancel.</param>
    public virtual void OnStopped(long failed, long results, int batches)
    {
    }

    /// <summary>Another attempt begins.</summary>
    /// <param name="attempt">The number of the attempt, counted from 1.</param>
    /// <param name="requests">The number of requests that it sends.</param>
    public virtual void OnAttempt(int attempt, int requests)
    {
    }
}
