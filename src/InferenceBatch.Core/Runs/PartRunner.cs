using System.Runtime.CompilerServices;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;
using InferenceBatch.Waiting;

namespace InferenceBatch.Runs;

/// <summary>
/// Sends the parts of an attempt, waits for their batches and fetches their results; tells what becomes of each. A part
/// that the service has no room for, or whose results come late, does not hold up the others: it is tried again while they
/// run.
/// </summary>
/// <remarks>For one attempt. Between two news the caller may have the run stopped.</remarks>
internal sealed class PartRunner(BatchClient client, PartSender sender, PartFetcher fetcher, EarlyStop stop, RunOptions options, RunObserver observer)
{
    private readonly QueueWait _queue = new(client.Time, observer);
    private readonly LateParts _late = new(client.Time);
    private readonly Dictionary<string, PlacedPart> _open = [];
    private readonly List<PartOutcome> _givenUp = [];

    /// <summary>Sends, waits, tells.</summary>
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

        await foreach (PartOutcome news in WatchAsync(parts.Count, cancellationToken).ConfigureAwait(false))
        {
            yield return news;
        }

        if (!stop.IsStopped && _queue.TakeAll() is { Count: > 0 } unsent)
        {
            observer.OnProblem(_queue.Reason!);
            foreach (PlacedPart one in unsent)
            {
                yield return new PartOutcome(one, PartState.NotSent, new ServiceError(RunRetryRules.NotSentCode, _queue.Reason!.Message), IsTemporary: true);
            }
        }
    }

    /// <summary>Sees to it that a part gets another batch where its last one came to nothing for want of room or of its file; gives what was wrong, else null.</summary>
    public ServiceException? Restart(RunPart part, Batch batch)
    {
        if (BatchFate.IsQueueFull(batch))
        {
            sender.Postpone(part);
            return new ServiceException(ServiceErrorKind.RateLimited, Messages.Text("RateLimited.QueueFull", batch.Id, batch.Errors[0].Message));
        }

        return BatchFate.IsFileGone(batch) && sender.ForgetFile(part)
            ? new ServiceException(ServiceErrorKind.FileNotFound, Messages.Text("FileNotFound.BatchInput", batch.Id, batch.Errors[0].Message))
            : null;
    }

    /// <summary>Sends a part; the news is that it cannot be sent at all, else null.</summary>
    private async Task<PartOutcome?> SendAsync(PlacedPart one, int number, int count, bool waits, CancellationToken cancellationToken)
    {
        SendOutcome outcome = await sender.SendAsync(one.Part, number, count, waits, cancellationToken).ConfigureAwait(false);
        if (outcome.Failure is { } failure)
        {
            return new PartOutcome(one, PartState.NotSent, failure, outcome.IsTemporary);
        }

        if (outcome.Refusal is { } refusal)
        {
            _queue.Add(one, refusal);
        }
        else
        {
            _open.Add(one.Part.BatchId!, one);
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
        // A batch of an earlier process is known to exist too: its first 404 is no proof that it is gone.
        List<(string, Batch?)> batches = [.. _open.Values.Select(
            one => (one.Part.BatchId!, one.Part.Ended ?? sender.LastSeen(one.Part) ?? new Batch { Id = one.Part.BatchId! }))];
        await foreach (Batch? batch in watcher.WatchAndWakeAsync(batches, cancellationToken).ConfigureAwait(false))
        {
            if (batch is not null && _open.Remove(batch.Id, out PlacedPart one))
            {
                if (!stop.IsStopped && Restart(one.Part, batch) is { } refusal)
                {
                    _queue.Add(one, refusal);
                }
                else
                {
                    sender.End(one.Part, batch);
                    _queue.Freed();
                    _late.Add(one, TimeSpan.Zero);
                }
            }

            foreach (PlacedPart ended in _late.TakeDue())
            {
                if (await FetchAsync(ended, mayWait: true, cancellationToken).ConfigureAwait(false) is { } news)
                {
                    yield return news;
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
            if (await FetchAsync(ended, mayWait: false, cancellationToken).ConfigureAwait(false) is { } news)
            {
                yield return news;
            }
        }

        foreach ((string id, PlacedPart one) in _open)
        {
            if (!stop.IsUncancelled(id))
            {
                observer.OnLeft(id, null, watcher.LastFailure);
            }

            yield return new PartOutcome(one, PartState.Left);
        }

        foreach (PartOutcome news in _givenUp)
        {
            yield return news;
        }
    }

    /// <summary>Fetches the results of a part whose batch has ended; the news is null when the service may show more of them soon.</summary>
    private async Task<PartOutcome?> FetchAsync(PlacedPart one, bool mayWait, CancellationToken cancellationToken)
    {
        FetchOutcome outcome;
        try
        {
            outcome = await fetcher.FetchAsync(one.Part, mayWait, cancellationToken).ConfigureAwait(false);
        }
        catch (FileUnwritableException exception)
        {
            // A full disk is no fault of the service: what was answered stays there, to be fetched by the next run.
            observer.OnProblem(exception);
            return new PartOutcome(one, PartState.Left);
        }

        if (outcome.Wait is { } wait)
        {
            _late.Add(one, wait);
            return null;
        }

        return new PartOutcome(one, PartState.Ended, Problem: outcome.Problem);
    }

    private void GiveUp(string id, ServiceException why)
    {
        if (why.Kind == ServiceErrorKind.Unauthorized)
        {
            throw why;
        }

        observer.OnLeft(id, why, null);
        if (_open.Remove(id, out PlacedPart one))
        {
            _givenUp.Add(new PartOutcome(one, why.Kind == ServiceErrorKind.BatchNotFound ? PartState.Lost : PartState.Left));
        }
    }
}
