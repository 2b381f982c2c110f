using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

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
    public virtual void OnLook(Batch batch)
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

    /// <summary>For some time no look has succeeded; see <see cref="BatchWatcher.OnTrouble"/>.</summary>
    public virtual void OnTrouble(ServiceException trouble)
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

    /// <summary>Another attempt begins.</summary>
    /// <param name="attempt">Counted from 1.</param>
    /// <param name="requests">How many requests it sends.</param>
    public virtual void OnAttempt(int attempt, int requests)
    {
    }
}
