using System.Threading.Channels;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Webhooks;

/// <summary>
/// Brings the events of the database to their receivers: each until it is taken or the schedule ends, also across restarts.
/// An attempt counts once it is written down, so a kill repeats at most the attempts that were under way, with the same id.
/// </summary>
internal sealed class WebhookDeliveries : IAsyncDisposable
{
    private const int MaxAtOnce = 16;

    /// <summary>A receiver that does not answer must not hold up the others.</summary>
    private const int MaxAtOnceToHost = 4;

    private const int MaxLookedAt = 1000;

    private static readonly TimeSpan s_clockLook = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_databaseWait = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, (string Host, Task Ended)> _underWay = [];
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly Database _database;
    private readonly WebhookSender _sender;
    private readonly TimeProvider _time;
    private readonly TimeSpan _stopGrace;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private Task _running = Task.CompletedTask;

    /// <param name="stopGrace">How long attempts under way may go on after a stop.</param>
    public WebhookDeliveries(Database database, WebhookSender sender, TimeProvider time, TimeSpan stopGrace, ILogger logger)
    {
        _database = database;
        _sender = sender;
        _time = time;
        _stopGrace = stopGrace;
        _logger = logger;
        _timer = time.CreateTimer(_ => Wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        database.Events.Added += Wake;
    }

    /// <summary>Begins, with what the last process left.</summary>
    public void Start()
    {
        Wake();
        _running = Task.Run(RunAsync);
    }

    public async ValueTask DisposeAsync()
    {
        _database.Events.Added -= Wake;
        await _stop.CancelAsync();
        await _running;
        Task[] underWay;
        lock (_underWay)
        {
            underWay = [.. _underWay.Values.Select(delivery => delivery.Ended)];
        }

        _abort.CancelAfter(_stopGrace);
        await Task.WhenAll(underWay);
        _timer.Dispose();
        _sender.Dispose();
        _stop.Dispose();
        _abort.Dispose();
    }

    private void Wake() => _wake.Writer.TryWrite(true);

    private async Task RunAsync()
    {
        try
        {
            while (await _wake.Reader.WaitToReadAsync(_stop.Token))
            {
                _wake.Reader.TryRead(out _);
                try
                {
                    StartDue();
                }
                catch (SqliteException exception)
                {
                    WebhookLog.DatabaseFailed(_logger, exception.Message);
                    _timer.Change(s_databaseWait, Timeout.InfiniteTimeSpan);
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private void StartDue()
    {
        DateTimeOffset now = _time.GetUtcNow();
        _database.Events.BringBack(now, RetrySchedule.Longest);
        lock (_underWay)
        {
            foreach ((string id, string url) in _database.Events.Due(now, MaxLookedAt))
            {
                string host = new Uri(url).Host;
                if (_underWay.Count < MaxAtOnce && !_underWay.ContainsKey(id) && _underWay.Values.Count(delivery => delivery.Host == host) < MaxAtOnceToHost)
                {
                    _underWay.Add(id, (host, Task.Run(() => DeliverAsync(id, host))));
                }
            }
        }

        // Events that are due and found no room are looked at again when an attempt ends.
        if (_database.Events.NextAfter(now) is { } next)
        {
            // The clock may be set meanwhile, which a timer does not notice.
            _timer.Change(next - now < s_clockLook ? next - now : s_clockLook, Timeout.InfiniteTimeSpan);
            if (_time.GetUtcNow() >= next)
            {
                Wake(); // It was set since it was looked at.
            }
        }
    }

    private async Task DeliverAsync(string id, string host)
    {
        try
        {
            if (_database.Events.Find(id) is { } item)
            {
                DeliveryOutcome outcome = await _sender.SendAsync(item, _abort.Token);
                await KeepAsync(() => Record(item, host, outcome));
            }
        }
        catch (OperationCanceledException) when (_abort.IsCancellationRequested)
        {
            // Not counted: it goes out again at the next start.
        }
        catch (Exception exception)
        {
            // One event must not hold up the others, nor go out in a tight loop.
            WebhookLog.Broke(_logger, id, exception);
            await Task.Delay(s_databaseWait, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            lock (_underWay)
            {
                _underWay.Remove(id);
            }

            Wake();
        }
    }

    /// <summary>Writes an outcome down, also where the disk is full for a while: forgotten, the event would go out again at once.</summary>
    private async Task KeepAsync(Action record)
    {
        while (true)
        {
            try
            {
                record();
                return;
            }
            catch (SqliteException exception)
            {
                WebhookLog.DatabaseFailed(_logger, exception.Message);
                await Task.Delay(s_databaseWait, _time, _abort.Token);
            }
        }
    }

    private void Record(EventRecord item, string host, DeliveryOutcome outcome)
    {
        int attempt = item.Attempts + 1;
        if (outcome.Failure is null)
        {
            _database.Events.Delete(item.Id);
            WebhookLog.Delivered(_logger, item.Id, item.BatchId, host);
            CountDelivery("delivered");
        }
        else if (!outcome.IsOver && RetrySchedule.WaitAfter(attempt) is { } wait)
        {
            _database.Events.Postpone(item.Id, _time.GetUtcNow() + wait);
            WebhookLog.Failed(_logger, item.Id, item.BatchId, host, attempt, wait.TotalSeconds, outcome.Failure);
            CountDelivery("failed");
        }
        else
        {
            _database.Events.Delete(item.Id);
            WebhookLog.GivenUp(_logger, item.Id, item.BatchId, host, attempt, outcome.Failure);
            CountDelivery("given_up");
        }
    }

    private static void CountDelivery(string outcome) => Meters.Deliveries.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
