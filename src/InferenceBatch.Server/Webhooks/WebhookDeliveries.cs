using System.Threading.Channels;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Webhooks;

/// <summary>
/// Delivers the events of the database. Each is sent until it is accepted or the schedule ends, also across restarts. An
/// attempt counts once its outcome is stored, so a kill repeats at most the attempts in flight, with the same ID.
/// </summary>
internal sealed class WebhookDeliveries : IAsyncDisposable
{
    private const int MaxInFlight = 16;

    /// <summary>A receiver that does not respond must not delay the others.</summary>
    private const int MaxInFlightPerHost = 4;

    private const int MaxDueEvents = 1000;

    private static readonly TimeSpan s_maxTimerWait = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_databaseRetryWait = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, (string Host, Task Ended)> _inFlight = [];
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

    /// <param name="stopGrace">How long attempts in flight may still finish after a stop.</param>
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

    /// <summary>Starts the deliveries, including pending events of earlier processes.</summary>
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
        Task[] inFlight;
        lock (_inFlight)
        {
            inFlight = [.. _inFlight.Values.Select(delivery => delivery.Ended)];
        }

        _abort.CancelAfter(_stopGrace);
        await Task.WhenAll(inFlight);
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
                    _timer.Change(s_databaseRetryWait, Timeout.InfiniteTimeSpan);
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
        _database.Events.ResetLateEvents(now, RetrySchedule.MaxWait);
        lock (_inFlight)
        {
            foreach ((string id, string url) in _database.Events.Due(now, MaxDueEvents))
            {
                string host = new Uri(url).Host;
                if (_inFlight.Count < MaxInFlight && !_inFlight.ContainsKey(id) && _inFlight.Values.Count(delivery => delivery.Host == host) < MaxInFlightPerHost)
                {
                    _inFlight.Add(id, (host, Task.Run(() => DeliverAsync(id, host))));
                }
            }
        }

        // Due events over these limits are started when an attempt ends.
        if (_database.Events.NextAfter(now) is { } next)
        {
            // The clock may be set in the meantime, which a timer does not notice.
            _timer.Change(next - now < s_maxTimerWait ? next - now : s_maxTimerWait, Timeout.InfiniteTimeSpan);
            if (_time.GetUtcNow() >= next)
            {
                Wake(); // The clock was set since the due events were read.
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
                await StoreAsync(() => Record(item, host, outcome));
            }
        }
        catch (OperationCanceledException) when (_abort.IsCancellationRequested)
        {
            // The attempt does not count. The next start sends the event again.
        }
        catch (Exception exception)
        {
            // A failing event must not delay the others, and must not be sent in a tight loop.
            WebhookLog.DeliveryCrashed(_logger, id, exception);
            await Task.Delay(s_databaseRetryWait, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            lock (_inFlight)
            {
                _inFlight.Remove(id);
            }

            Wake();
        }
    }

    /// <summary>Stores an outcome, and retries while the database fails, because otherwise the event would be sent again at once.</summary>
    private async Task StoreAsync(Action record)
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
                await Task.Delay(s_databaseRetryWait, _time, _abort.Token);
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
        else if (!outcome.IsFinal && RetrySchedule.WaitAfter(attempt) is { } wait)
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
