using System.Net;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Waiting;

/// <summary>
/// Waits for many batches together and gives each as it ends. A look that fails for reasons that may pass (429, 5xx, a
/// dead connection) only makes the next one later; one that cannot change (401, 403) ends the wait for that batch. So does
/// 404, at once for a batch that is known by its id alone, and after five minutes for one that was described before.
/// </summary>
/// <remarks>
/// Pace: the first look at a batch comes within a second, each wait grows by half up to a minute; at most six looks in
/// the first five seconds. It is shorter when the end is in sight, and a little longer, at random, where many are waited
/// for. Up to eight are looked at at once, so that one that stalls holds up no other. What is told is told by one thread
/// at a time. For one wait at a time.
/// </remarks>
public sealed class BatchWatcher(BatchClient client, TimeProvider? time = null)
{
    private const int MaxLooks = 8;

    private static readonly TimeSpan s_longestLook = TimeSpan.FromSeconds(60);

    /// <summary>How long looks fail before it is told.</summary>
    private static readonly TimeSpan s_troubleIsTold = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_askPatience = TimeSpan.FromSeconds(3);

    /// <summary>What a look gets that begins as the time runs out.</summary>
    private static readonly TimeSpan s_lastLook = TimeSpan.FromSeconds(10);

    private readonly TimeProvider _time = time ?? client.Time;
    private readonly Channel<Signal> _signals = Channel.CreateUnbounded<Signal>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Queue<Batch> _added = new();
    private long _began;
    private TimeSpan? _wakeAt;
    private TimeSpan? _failingSince;
    private bool _troubleWasTold;

    /// <summary>The wait between two looks at one batch; null for the growing pace.</summary>
    public TimeSpan? PollingInterval { get; init; }

    /// <summary>How long to wait in all; null for as long as it takes. Each batch is looked at once at least, with zero too, and once more as it ends.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Whether to end with the first batch that ends.</summary>
    public bool Any { get; init; }

    /// <summary>Which service a batch is asked of; the one given for all when null.</summary>
    public Func<string, BatchClient>? ClientOf { get; init; }

    /// <summary>Told each batch whenever it was looked at.</summary>
    public Action<Batch>? OnLook { get; init; }

    /// <summary>Told once of each batch that shows neither another status nor another count for long, and for how long: 15 minutes in validating, else 30.</summary>
    public Action<Batch, TimeSpan>? OnStalled { get; init; }

    /// <summary>Told of a batch that waits at a local service, and why, such as an upstream that is away: once for each reason until the batch moves.</summary>
    public Action<Batch, string>? OnHeld { get; init; }

    /// <summary>Told once, when for some time no look has succeeded, why; once more after each that did.</summary>
    public Action<ServiceException>? OnTrouble { get; init; }

    /// <summary>Why the last look failed; null where it did not.</summary>
    public ServiceException? Trouble { get; private set; }

    /// <summary>Told each batch that will not be waited for any more, and why.</summary>
    public Action<string, ServiceException>? OnGivenUp { get; init; }

    /// <summary>The ids still waited for: after the wait, those that did not end within <see cref="Timeout"/>.</summary>
    public IReadOnlyCollection<string> Waiting { get; private set; } = [];

    /// <summary>Says that there may be news of a batch: it is looked at now. At most one look a second comes of it, and none before a service that asked for patience gets it.</summary>
    /// <param name="id">The batch; null for all, one that is not waited for is passed over.</param>
    /// <remarks>Safe for several threads, at any time.</remarks>
    public void LookNow(string? id) => _signals.Writer.TryWrite(new Signal(id, null));

    /// <summary>Waits; gives each batch as it ends, and ends when all did, the timeout is over, or with the first if <see cref="Any"/>.</summary>
    /// <param name="batches">
    /// By id; one whose last state is known to be final costs no call. A batch that is given without a state exists, as the
    /// caller knows. Repeated ids are waited for once.
    /// </param>
    /// <exception cref="OperationCanceledException">Cancelled; <see cref="Waiting"/> says what was left.</exception>
    public async IAsyncEnumerable<Batch> WatchAsync(
        IEnumerable<(string Id, Batch? Known)> batches, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (Batch? batch in WatchAndWakeAsync(batches, cancellationToken).ConfigureAwait(false))
        {
            if (batch is not null)
            {
                yield return batch;
            }
        }
    }

    /// <summary>Adds a batch to the wait under way. To be called while the caller has the turn: between two batches that the wait gives.</summary>
    internal void Add(Batch batch) => _added.Enqueue(batch);

    /// <summary>Has the wait give null after a time, once, and last until then though no batch is left; not beyond <see cref="Timeout"/>. When to call it: see <see cref="Add"/>.</summary>
    /// <param name="time">Null to take it back.</param>
    internal void WakeAfter(TimeSpan? time)
    {
        TimeSpan now = _time.GetElapsedTime(_began);
        _wakeAt = now >= Timeout ? null : now + time;
    }

    /// <summary>As <see cref="WatchAsync"/>; gives null when a time set with <see cref="WakeAfter"/> has come, and first of all.</summary>
    internal async IAsyncEnumerable<Batch?> WatchAndWakeAsync(
        IEnumerable<(string Id, Batch? Known)> batches, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        long began = _began = _time.GetTimestamp();
        var watched = new Dictionary<string, WatchedBatch>();
        List<Batch> finished = Sort(batches, watched);
        Waiting = watched.Keys;
        foreach (Batch batch in finished)
        {
            yield return batch;
            if (Any)
            {
                yield break;
            }
        }

        yield return null;
        int looking = 0;
        TimeSpan? end = null;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            while (watched.Count > 0 || _added.Count > 0 || _wakeAt is not null)
            {
                while (_signals.Reader.TryRead(out Signal signal))
                {
                    if (signal.Looked is not { } looked)
                    {
                        RequestPoll(watched, signal.Id, _time.GetElapsedTime(began));
                    }
                    else if (watched.GetValueOrDefault(looked.Id) == looked)
                    {
                        looking--;
                        Batch? ended = await TakeAsync(looked, began, cancellationToken).ConfigureAwait(false);
                        if (ended is not null || looked.IsGivenUp)
                        {
                            watched.Remove(looked.Id);
                        }
                        else
                        {
                            Schedule(looked, _time.GetElapsedTime(began), watched.Count > 1);
                        }

                        if (ended is not null)
                        {
                            yield return ended;
                            if (Any)
                            {
                                yield break;
                            }
                        }
                    }
                }

                TimeSpan now = _time.GetElapsedTime(began);
                while (_added.TryDequeue(out Batch? added))
                {
                    Watch(added.Id, added, watched, now);
                }

                if (now >= (Timeout < _wakeAt ? Timeout : _wakeAt))
                {
                    _wakeAt = null;
                    yield return null;
                    continue;
                }

                end ??= now >= Timeout ? now + s_lastLook : null;
                foreach (WatchedBatch due in watched.Values.Where(batch => batch.Due <= now).OrderBy(batch => batch.Due).Take(MaxLooks - looking))
                {
                    if (end <= now)
                    {
                        due.Due = null;
                        continue;
                    }

                    looking++;
                    Begin(due, now, AtMost(now, end), stop.Token);
                }

                TimeSpan? next = looking < MaxLooks ? watched.Values.Min(batch => batch.Due) : null;
                TimeSpan? wake = Timeout < _wakeAt ? Timeout : _wakeAt;
                next = next is null || wake < next ? wake ?? next : next;
                if (looking > 0 || next is not null)
                {
                    await PauseAsync(next - _time.GetElapsedTime(began), looking > 0, cancellationToken).ConfigureAwait(false);
                }
                else if (watched.Count > 0)
                {
                    yield break;
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            foreach (WatchedBatch batch in watched.Values.Where(batch => batch.Look is not null))
            {
                await Task.WhenAny(batch.Look!).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Puts aside what has ended already, and sets when the others are looked at first.</summary>
    private List<Batch> Sort(IEnumerable<(string Id, Batch? Known)> batches, Dictionary<string, WatchedBatch> watched)
    {
        List<Batch> finished = [];
        foreach ((string id, Batch? known) in batches)
        {
            if (watched.ContainsKey(id) || finished.Exists(batch => batch.Id == id))
            {
                continue;
            }

            if (known is { IsFinished: true })
            {
                finished.Add(known);
                continue;
            }

            Watch(id, known, watched, TimeSpan.Zero);
        }

        return finished;
    }

    private void Watch(string id, Batch? known, Dictionary<string, WatchedBatch> watched, TimeSpan now)
    {
        var batch = new WatchedBatch(id, _time) { Due = now, Exists = known is not null };
        watched.Add(id, batch);
        if (known is null or { Status: BatchStatus.Unknown, Json: "" })
        {
            return; // A bare id is polled at once, to find out early whether it is wrong.
        }

        batch.Observe(known, now);
        // A known state is usually a fresh one, so the first poll can wait, unless there is time for a single poll only.
        if (!(Timeout <= TimeSpan.Zero))
        {
            Schedule(batch, now, spread: false);
        }
    }

    private void Schedule(WatchedBatch batch, TimeSpan now, bool spread)
    {
        if (now >= Timeout)
        {
            batch.Due = null;
            return;
        }

        batch.ScheduleNext(now, PollingInterval, spread);
        batch.Due = Timeout < batch.Due ? Timeout : batch.Due;
    }

    private static void RequestPoll(Dictionary<string, WatchedBatch> watched, string? id, TimeSpan now)
    {
        foreach (WatchedBatch batch in watched.Values.Where(batch => id is null || batch.Id == id))
        {
            batch.RequestPoll(now);
        }
    }

    /// <summary>How long a look may take: until the time is over, but a while in any case.</summary>
    private TimeSpan AtMost(TimeSpan now, TimeSpan? end)
    {
        TimeSpan left = end - now ?? Timeout - now ?? s_longestLook;
        left = end is null && left < s_lastLook ? s_lastLook : left;
        return left < s_longestLook ? left : s_longestLook;
    }

    private void Begin(WatchedBatch batch, TimeSpan now, TimeSpan atMost, CancellationToken cancellationToken)
    {
        batch.Begin(now);
        batch.Look = LookAsync();

        async Task<Batch> LookAsync()
        {
            using var late = new CancellationTokenSource(atMost, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
            try
            {
                return await ClientFor(batch.Id).GetBatchAsync(batch.Id, RetryPolicy.Once, either.Token).ConfigureAwait(false);
            }
            finally
            {
                _signals.Writer.TryWrite(new Signal(null, batch));
            }
        }
    }

    private BatchClient ClientFor(string id) => ClientOf?.Invoke(id) ?? client;

    /// <summary>Takes what a look brought; gives the batch if it has ended.</summary>
    private async Task<Batch?> TakeAsync(WatchedBatch watched, long began, CancellationToken cancellationToken)
    {
        Task<Batch> look = watched.Look!;
        try
        {
            Batch batch = await look.ConfigureAwait(false);
            TimeSpan now = _time.GetElapsedTime(began);
            (Trouble, _failingSince, _troubleWasTold) = (null, null, false);
            watched.Observe(batch, now);
            OnLook?.Invoke(batch);
            if (!batch.IsFinished && watched.IsQuiet(now))
            {
                await AskWhyAsync(watched, batch, cancellationToken).ConfigureAwait(false);
            }

            if (!batch.IsFinished && watched.TakeStall(now) is { } unchanged)
            {
                OnStalled?.Invoke(batch, unchanged);
            }

            return batch.IsFinished ? batch : null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The service stalls.
        }
        catch (ServiceException exception) when (exception.IsTransient || IsOfAccount(exception))
        {
            watched.Failed(exception, ClientFor(watched.Id).Connection.Profile);
            Note(exception, _time.GetElapsedTime(began));
            if (watched.IsGivenUp)
            {
                OnGivenUp?.Invoke(watched.Id, new ServiceException(
                    ServiceErrorKind.BatchNotFound, Messages.Text("BatchNotFound.As500", exception.Message), exception)
                {
                    StatusCode = exception.StatusCode,
                    Error = exception.Error,
                    RequestId = exception.RequestId,
                });
            }
        }
        catch (ServiceException exception) when (watched.MayAppear(exception))
        {
            Note(exception, _time.GetElapsedTime(began));
        }
        catch (ServiceException exception)
        {
            watched.GiveUp();
            OnGivenUp?.Invoke(watched.Id, exception);
        }
        finally
        {
            watched.Look = null;
        }

        return null;
    }

    /// <summary>A used-up quota, or another state of the account that comes as 429 or 5xx, refuses the look and not the batch, which continues.</summary>
    private static bool IsOfAccount(ServiceException exception) =>
        exception.Kind is ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable && RetryRules.IsFinal(exception.Error?.Code);

    /// <summary>A local service says what its batches wait for; other services have no place to say it.</summary>
    private async Task AskWhyAsync(WatchedBatch watched, Batch batch, CancellationToken cancellationToken)
    {
        BatchClient service = ClientFor(batch.Id);
        // At another loopback address there may be one too; any other program answers 404.
        if (OnHeld is null || (service.Connection.Profile != ServiceProfile.Local && !Loopback.Is(service.Connection.BaseUri)))
        {
            return;
        }

        using var patience = new CancellationTokenSource(s_askPatience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            foreach (string reason in await service.ListTroublesAsync(either.Token).ConfigureAwait(false))
            {
                if (watched.TakeHeld(reason))
                {
                    OnHeld(batch, reason);
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It answers the next time.
        }
    }

    /// <summary>A service that is busy says so, and is waited for; one that cannot be asked a person should hear of.</summary>
    private void Note(ServiceException trouble, TimeSpan now)
    {
        if (trouble.StatusCode is < HttpStatusCode.InternalServerError and not HttpStatusCode.NotFound)
        {
            return;
        }

        Trouble = trouble;
        _failingSince ??= now;
        if (!_troubleWasTold && now - _failingSince >= s_troubleIsTold)
        {
            _troubleWasTold = true;
            OnTrouble?.Invoke(trouble);
        }
    }

    /// <summary>Waits until a look has ended, a hint comes, or the next look is due.</summary>
    private async Task PauseAsync(TimeSpan? wait, bool isLooking, CancellationToken cancellationToken)
    {
        // Timers know whole milliseconds, and drop the rest: too early, by less than one, would be again and again.
        wait = wait is { } exact ? TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(exact.TotalMilliseconds))) : null;
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task signal = _signals.Reader.WaitToReadAsync(woken.Token).AsTask();
        if (isLooking)
        {
            // The look will end before long: a limit, not a wait.
            using var due = new CancellationTokenSource(wait ?? System.Threading.Timeout.InfiniteTimeSpan, _time);
            using CancellationTokenRegistration cancel = due.Token.UnsafeRegister(state => ((CancellationTokenSource)state!).Cancel(), woken);
            await Task.WhenAny(signal).ConfigureAwait(false);
        }
        else
        {
            await Task.WhenAny(signal, Task.Delay(wait!.Value, _time, woken.Token)).ConfigureAwait(false);
        }

        await woken.CancelAsync().ConfigureAwait(false);
        await Task.WhenAny(signal).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>A hint (for one id, or for all), or the end of a look.</summary>
    private readonly record struct Signal(string? Id, WatchedBatch? Looked);
}
