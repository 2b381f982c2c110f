using System.Net;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Waiting;

/// <summary>Evaluates the polls of a <see cref="BatchWatcher"/>: whether the batch has ended or is given up, and which callbacks are called.</summary>
internal sealed class PollEvaluator(BatchWatcher watcher, TimeProvider time)
{
    /// <summary>How long polls fail before <see cref="BatchWatcher.OnPollsFailing"/> is called.</summary>
    private static readonly TimeSpan s_failureNoticeDelay = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_healthTimeout = TimeSpan.FromSeconds(3);

    private TimeSpan? _failingSince;
    private bool _isFailureReported;

    /// <summary>The error of the last poll; null if it succeeded.</summary>
    public ServiceException? LastFailure { get; private set; }

    /// <summary>Evaluates a poll that has ended.</summary>
    /// <param name="watched">The batch.</param>
    /// <param name="startedAt">The timestamp of the start of the wait.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <returns>The batch if it has ended; otherwise null.</returns>
    public async Task<Batch?> EvaluateAsync(WatchedBatch watched, long startedAt, CancellationToken cancellationToken)
    {
        Task<Batch> poll = watched.Poll!;
        try
        {
            Batch batch = await poll.ConfigureAwait(false);
            TimeSpan now = time.GetElapsedTime(startedAt);
            (LastFailure, _failingSince, _isFailureReported) = (null, null, false);
            watched.Observe(batch, now);
            watcher.OnPolled?.Invoke(batch);
            if (!batch.IsFinished && watched.IsQuiet(now))
            {
                await ReportHoldsAsync(watched, batch, cancellationToken).ConfigureAwait(false);
            }

            if (!batch.IsFinished && watched.TakeStall(now) is { } unchanged)
            {
                watcher.OnStalled?.Invoke(batch, unchanged);
            }

            return batch.IsFinished ? batch : null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The service did not respond in time.
        }
        catch (ServiceException exception) when (exception.IsTransient || IsAboutAccount(exception))
        {
            watched.ObserveFailure(exception, watcher.ClientFor(watched.Id).Connection.Profile);
            ReportFailure(exception, time.GetElapsedTime(startedAt));
            if (watched.IsGivenUp)
            {
                watcher.OnGivenUp?.Invoke(watched.Id, ErrorTranslator.AsBatchNotFound(exception));
            }
        }
        catch (ServiceException exception) when (watched.MayAppear(exception))
        {
            ReportFailure(exception, time.GetElapsedTime(startedAt));
        }
        catch (ServiceException exception)
        {
            watched.GiveUp();
            watcher.OnGivenUp?.Invoke(watched.Id, exception);
        }
        finally
        {
            watched.Poll = null;
        }

        return null;
    }

    /// <summary>Whether an error is about the account, such as a used-up quota that comes as 429 or 5xx. It refuses the poll, but the batch continues.</summary>
    private static bool IsAboutAccount(ServiceException exception) =>
        exception.Kind is ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable && RetryRules.IsFinal(exception.Error?.Code);

    /// <summary>Reports why a batch waits. Only a local service says why its batches wait.</summary>
    private async Task ReportHoldsAsync(WatchedBatch watched, Batch batch, CancellationToken cancellationToken)
    {
        BatchClient service = watcher.ClientFor(batch.Id);
        // Another loopback address may belong to a local service too. Any other program responds with 404.
        if (watcher.OnHeld is null || (service.Connection.Profile != ServiceProfile.Local && !Loopback.Is(service.Connection.BaseUri)))
        {
            return;
        }

        using var timeout = new CancellationTokenSource(s_healthTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            foreach (string reason in await service.ListHealthIssuesAsync(either.Token).ConfigureAwait(false))
            {
                if (watched.TakeHoldReason(reason))
                {
                    watcher.OnHeld(batch, reason);
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The next poll asks again.
        }
    }

    /// <summary>Records a failed poll, and reports an outage. A busy service (429) is not an outage: it responds, and the watcher waits.</summary>
    private void ReportFailure(ServiceException failure, TimeSpan now)
    {
        if (failure.StatusCode is < HttpStatusCode.InternalServerError and not HttpStatusCode.NotFound)
        {
            return;
        }

        LastFailure = failure;
        _failingSince ??= now;
        if (!_isFailureReported && now - _failingSince >= s_failureNoticeDelay)
        {
            _isFailureReported = true;
            watcher.OnPollsFailing?.Invoke(failure);
        }
    }
}
