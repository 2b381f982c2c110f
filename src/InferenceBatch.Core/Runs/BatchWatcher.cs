using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// Waits for many batches together and gives each as it ends. A look that fails for reasons that may pass (429, 5xx, a
/// dead connection) only makes the next one later; one that cannot change (401, 403, 404) ends the wait for that batch.
/// </summary>
/// <remarks>
/// Pace: the first look at a batch comes within a second, each wait grows by half up to a minute; at most six looks in
/// the first five seconds.
/// </remarks>
public sealed class BatchWatcher(BatchClient client, TimeProvider? time = null)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(0.25);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(60);

    /// <summary>What a look gets that begins as the time runs out.</summary>
    private static readonly TimeSpan s_lastLook = TimeSpan.FromSeconds(10);

    private readonly TimeProvider _time = time ?? client.Time;

    /// <summary>The wait between two looks at one batch; null for the growing pace.</summary>
    public TimeSpan? PollingInterval { get; init; }

    /// <summary>How long to wait in all; null for as long as it takes. Each batch is looked at once at least, with zero too.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether to end with the first batch that ends.</summary>
    public bool Any { get; init; }

    /// <summary>Which service a batch is asked of; the one given for all when null.</summary>
    public Func<string, BatchClient>? ClientOf { get; init; }

    /// <summary>Told each batch whenever it was looked at.</summary>
    public Action<Batch>? OnLook { get; init; }

    /// <summary>Told each batch that will not be waited for any more, and why.</summary>
    public Action<string, ServiceException>? OnGivenUp { get; init; }

    /// <summary>The ids still waited for: after the wait, those that did not end within <see cref="Timeout"/>.</summary>
    public IReadOnlyCollection<string> Waiting { get; private set; } = [];

    /// <summary>Waits; gives each batch as it ends, and ends when all did, the timeout is over, or with the first if <see cref="Any"/>.</summary>
    /// <param name="batches">By id; one whose last state is known to be final costs no call. Repeated ids are waited for once.</param>
    /// <exception cref="OperationCanceledException">Cancelled; <see cref="Waiting"/> says what was left.</exception>
    public async IAsyncEnumerable<Batch> WatchAsync(
        IEnumerable<(string Id, Batch? Known)> batches, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        long began = _time.GetTimestamp();
        var watched = new PriorityQueue<Watched, TimeSpan>();
        var waiting = new HashSet<string>();
        Waiting = waiting;
        List<Batch> finished = [];
        foreach ((string id, Batch? known) in batches)
        {
            if (waiting.Contains(id) || finished.Exists(batch => batch.Id == id))
            {
                continue;
            }

            if (known is { IsFinished: true })
            {
                finished.Add(known);
                continue;
            }

            waiting.Add(id);
            // What was just described needs no look at once; a bare id does, if only to learn that it is wrong.
            var batch = new Watched(id) { Wait = PollingInterval ?? s_firstWait, WasSeen = known is not null, WasLookedAt = known is not null };
            watched.Enqueue(batch, known is null ? TimeSpan.Zero : batch.Wait < s_longestWait ? batch.Wait : s_longestWait);
        }

        foreach (Batch batch in finished)
        {
            yield return batch;
            if (Any)
            {
                yield break;
            }
        }

        while (watched.TryDequeue(out Watched? next, out TimeSpan due))
        {
            TimeSpan passed = _time.GetElapsedTime(began);
            if (Timeout <= passed && (due > passed || next.WasLookedAt))
            {
                yield break;
            }

            if (due > passed)
            {
                TimeSpan wait = Timeout < due ? Timeout.Value - passed : due - passed;
                await Task.Delay(wait, _time, cancellationToken).ConfigureAwait(false);
            }

            TimeSpan? left = Timeout - _time.GetElapsedTime(began);
            if (await LookAsync(next, left < s_lastLook ? s_lastLook : left, cancellationToken).ConfigureAwait(false) is { } ended)
            {
                waiting.Remove(next.Id);
                yield return ended;
                if (Any)
                {
                    yield break;
                }
            }
            else if (next.IsGivenUp)
            {
                waiting.Remove(next.Id);
            }
            else
            {
                watched.Enqueue(next, _time.GetElapsedTime(began) + next.TakeWait(PollingInterval));
            }
        }
    }

    private async Task<Batch?> LookAsync(Watched watched, TimeSpan? atMost, CancellationToken cancellationToken)
    {
        watched.WasLookedAt = true;
        BatchClient service = ClientOf?.Invoke(watched.Id) ?? client;
        using var late = new CancellationTokenSource(atMost ?? System.Threading.Timeout.InfiniteTimeSpan, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            Batch batch = await service.GetBatchAsync(watched.Id, RetryPolicy.Once, either.Token).ConfigureAwait(false);
            watched.Saw();
            OnLook?.Invoke(batch);
            return batch.IsFinished ? batch : null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The service stalls and the time is over.
        }
        catch (ServiceException exception) when (exception.IsTransient)
        {
            watched.Failed(exception, service.Connection.Profile);
            if (watched.IsGivenUp)
            {
                OnGivenUp?.Invoke(watched.Id, new ServiceException(
                    ServiceErrorKind.BatchNotFound, $"{exception.Message} (This service answers 500 for an id it does not know.)", exception)
                {
                    StatusCode = exception.StatusCode,
                    Error = exception.Error,
                    RequestId = exception.RequestId,
                });
            }
        }
        catch (ServiceException exception)
        {
            watched.GiveUp();
            OnGivenUp?.Invoke(watched.Id, exception);
        }

        return null;
    }

    private sealed class Watched(string id)
    {
        private const int MaxUnknown500s = 5;
        private int _unknown500s;
        private TimeSpan? _asked;

        public string Id { get; } = id;

        public TimeSpan Wait { get; set; }

        /// <summary>Whether the service has described it.</summary>
        public bool WasSeen { get; set; }

        public bool WasLookedAt { get; set; }

        public bool IsGivenUp { get; private set; }

        public void Saw() => WasSeen = true;

        public void GiveUp() => IsGivenUp = true;

        public void Failed(ServiceException exception, ServiceProfile profile)
        {
            _asked = exception.RetryAfter;
            bool mayBeUnknown = !WasSeen && profile.UnknownBatchIs500 && exception.StatusCode == System.Net.HttpStatusCode.InternalServerError;
            IsGivenUp = mayBeUnknown && ++_unknown500s >= MaxUnknown500s;
        }

        /// <summary>The wait before the next look, and lets the one after it grow.</summary>
        public TimeSpan TakeWait(TimeSpan? interval)
        {
            TimeSpan wait = interval ?? Wait;
            Wait = Wait * 1.5 < s_longestWait ? Wait * 1.5 : s_longestWait;
            if (_asked > wait)
            {
                wait = _asked.Value;
            }

            _asked = null;
            return wait;
        }
    }
}
