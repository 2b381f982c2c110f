using System.Runtime.CompilerServices;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;
using InferenceBatch.Waiting;

namespace InferenceBatch.Runs;

/// <summary>
/// Sends the parts of an attempt, waits for their batches, and downloads their results. A part that the service has no
/// room for, or whose results are late, does not delay the others: it is retried while they run.
/// </summary>
/// <remarks>For one attempt. The caller may stop the run between two outcomes.</remarks>
internal sealed class PartRunner(BatchClient client, PartSender sender, PartFetcher fetcher, EarlyStop stop, RunOptions options, RunObserver observer)
{
    private readonly QueueWait _queue = new(client.Time, observer);
    private readonly LateParts _late = new(client.Time);
    private readonly Dictionary<string, PlacedPart> _open = [];
    private readonly List<PartOutcome> _givenUp = [];

    /// <summary>Runs the attempt. Returns the outcome of each part when it is known.</summary>
    /// <exception cref="ServiceException">The key was refused; see <see cref="PartSender.SendAsync"/>.</exception>
    public async IAsyncEnumerable<PartOutcome> RunAsync(IReadOnlyList<PlacedPart> parts, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (int i = 0; i < parts.Count && !await stop.CheckAsync(cancellationToken).ConfigureAwait(false); i++)
        {
            if (await SendAsync(parts[i], i + 1, parts.Count, waits: true, cancellationToken).ConfigureAwait(false) is { } failed)
            {
                yield return failed;
            }
        }

        await foreach (PartOutcome outcome in WatchAsync(parts.Count, cancellationToken).ConfigureAwait(false))
        {
            yield return outcome;
        }

        if (!stop.IsStopped && _queue.TakeAll() is { Count: > 0 } unsent)
        {
            observer.OnProblem(_queue.Reason!);
            foreach (PlacedPart part in unsent)
            {
                yield return new PartOutcome(part, PartState.NotSent, new ServiceError(RunRetryRules.NotSentCode, _queue.Reason!.Message), IsTemporary: true);
            }
        }
    }

    /// <summary>Prepares a part for another batch if its batch failed because the queue is full or the input file is gone. Returns the reason; null if the batch stays.</summary>
    public ServiceException? Restart(RunPart part, Batch batch)
    {
        if (BatchOutcome.IsQueueFull(batch))
        {
            sender.Postpone(part);
            return new ServiceException(ServiceErrorKind.RateLimited, Messages.Text("RateLimited.QueueFull", batch.Id, batch.Errors[0].Message));
        }

        return BatchOutcome.IsFileGone(batch) && sender.ForgetFile(part)
            ? new ServiceException(ServiceErrorKind.FileNotFound, Messages.Text("FileNotFound.BatchInput", batch.Id, batch.Errors[0].Message))
            : null;
    }

    /// <summary>Sends a part. Returns an outcome if it cannot be sent; otherwise null.</summary>
    private async Task<PartOutcome?> SendAsync(PlacedPart part, int number, int count, bool waits, CancellationToken cancellationToken)
    {
        SendOutcome outcome = await sender.SendAsync(part.Part, number, count, waits, cancellationToken).ConfigureAwait(false);
        if (outcome.Failure is { } failure)
        {
            return new PartOutcome(part, PartState.NotSent, failure, outcome.IsTemporary);
        }

        if (outcome.Refusal is { } refusal)
        {
            _queue.Add(part, refusal);
        }
        else
        {
            _open.Add(part.Part.BatchId!, part);
        }

        return null;
    }

    private async IAsyncEnumerable<PartOutcome> WatchAsync(int count, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watcher = new BatchWatcher(client, client.Time)
        {
            Timeout = options.Timeout,
            OnPolled = observer.OnPolled,
            OnStalled = observer.OnStalled,
            OnPollsFailing = observer.OnPollsFailing,
            OnHeld = observer.OnHeld,
            OnGivenUp = GiveUp,
        };
        // A batch of an earlier process is known to exist too, so its first 404 does not mean that it is gone.
        List<(string, Batch?)> batches = [.. _open.Values.Select(
            part => (part.Part.BatchId!, part.Part.Ended ?? sender.LastSeen(part.Part) ?? new Batch { Id = part.Part.BatchId! }))];
        await foreach (Batch? batch in watcher.WatchAndWakeAsync(batches, cancellationToken).ConfigureAwait(false))
        {
            if (batch is not null && _open.Remove(batch.Id, out PlacedPart part))
            {
                if (!stop.IsStopped && Restart(part.Part, batch) is { } refusal)
                {
                    _queue.Add(part, refusal);
                }
                else
                {
                    sender.RecordEnd(part.Part, batch);
                    _queue.RetrySoon();
                    _late.Add(part, TimeSpan.Zero);
                }
            }

            foreach (PlacedPart ended in _late.TakeDue())
            {
                if (await FetchAsync(ended, mayWait: true, cancellationToken).ConfigureAwait(false) is { } outcome)
                {
                    yield return outcome;
                }
            }

            if (_open.Count > 0 || _queue.Next is not null)
            {
                await stop.CheckAsync(cancellationToken).ConfigureAwait(false);
            }

            foreach (PlacedPart due in stop.IsStopped ? [] : _queue.TakeDue())
            {
                if (await SendAsync(due, 1, count, waits: false, cancellationToken).ConfigureAwait(false) is { } failed)
                {
                    yield return failed;
                }
                else if (due.Part.BatchId is { } id)
                {
                    watcher.Add(sender.LastSeen(due.Part) ?? new Batch { Id = id });
                }
            }

            TimeSpan? next = stop.IsStopped ? null : _queue.Next;
            watcher.WakeAfter(next is null || _late.Next < next ? _late.Next : next);
            if (stop.IsStopped && _late.Next is null && _open.Keys.All(stop.IsUncancelled))
            {
                break;
            }
        }

        foreach (PlacedPart ended in _late.TakeAll())
        {
            if (await FetchAsync(ended, mayWait: false, cancellationToken).ConfigureAwait(false) is { } outcome)
            {
                yield return outcome;
            }
        }

        foreach ((string id, PlacedPart part) in _open)
        {
            if (!stop.IsUncancelled(id))
            {
                observer.OnWaitEnded(id, null, watcher.LastFailure);
            }

            yield return new PartOutcome(part, PartState.Left);
        }

        foreach (PartOutcome outcome in _givenUp)
        {
            yield return outcome;
        }
    }

    /// <summary>Downloads the results of a part whose batch has ended. Returns null if the service may show more of them soon.</summary>
    private async Task<PartOutcome?> FetchAsync(PlacedPart part, bool mayWait, CancellationToken cancellationToken)
    {
        FetchOutcome outcome;
        try
        {
            outcome = await fetcher.FetchAsync(part.Part, mayWait, cancellationToken).ConfigureAwait(false);
        }
        catch (FileUnwritableException exception)
        {
            // If the disk is full, the results stay at the service, and the next run downloads them.
            observer.OnProblem(exception);
            return new PartOutcome(part, PartState.Left);
        }

        if (outcome.Wait is { } wait)
        {
            _late.Add(part, wait);
            return null;
        }

        return new PartOutcome(part, PartState.Ended, Problem: outcome.Problem);
    }

    private void GiveUp(string id, ServiceException reason)
    {
        if (reason.Kind == ServiceErrorKind.Unauthorized)
        {
            throw reason;
        }

        observer.OnWaitEnded(id, reason, null);
        if (_open.Remove(id, out PlacedPart part))
        {
            _givenUp.Add(new PartOutcome(part, reason.Kind == ServiceErrorKind.BatchNotFound ? PartState.Lost : PartState.Left));
        }
    }
}
