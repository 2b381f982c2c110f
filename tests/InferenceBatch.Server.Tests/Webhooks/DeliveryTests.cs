using System.Net;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Server.Webhooks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace InferenceBatch.Server.Tests.Webhooks;

/// <summary>How often and when an event is sent, with a clock that the test controls.</summary>
public sealed class DeliveryTests : IAsyncLifetime, IDisposable
{
    private const string Secret = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";

    private readonly TempFolder _folder = new();
    private readonly FakeTime _time = new() { SkipsWaits = false };
    private readonly List<WebhookDeliveries> _deliveries = [];
    private readonly Database _database;

    public DeliveryTests() => _database = Database.Open(_folder.File("batches.db"));

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (WebhookDeliveries deliveries in _deliveries)
        {
            await deliveries.DisposeAsync();
        }
    }

    public void Dispose()
    {
        _database.Dispose();
        _folder.Dispose();
    }

    /// <summary>The documented schedule: 1 s, 5 s, 30 s, 2 min, 10 min, 1 h, 4 h, 12 h, 24 h, each up to ten percent more or less.</summary>
    [Fact]
    public async Task An_event_is_retried_on_schedule_and_then_given_up()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        Start();
        string id = Add(receiver.Url);
        int[] waits = [1, 5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600];
        WebhookReceiver.Message first = await receiver.NextAsync();
        Assert.Equal(_time.GetUtcNow(), SignatureCheck.TimestampOf(first.Headers));
        for (int i = 0; i < waits.Length; i++)
        {
            await UntilAsync(() => _database.Events.Find(id)!.Attempts == i + 1);
            DateTimeOffset next = _database.Events.NextAfter(_time.GetUtcNow())!.Value;
            Assert.InRange((next - _time.GetUtcNow()).TotalSeconds, waits[i] * 0.9, waits[i] * 1.1);
            Assert.Equal(i + 1, receiver.All.Count);

            _time.Advance(next - _time.GetUtcNow());
            WebhookReceiver.Message again = await receiver.NextAsync();
            Assert.Equal(first.Id, again.Id);
            Assert.Equal(first.Body, again.Body);
            Assert.Equal(_time.GetUtcNow().ToUnixTimeSeconds(), SignatureCheck.TimestampOf(again.Headers).ToUnixTimeSeconds());
            Assert.True(SignatureCheck.ByHand(Secret, again.Headers, again.Body));
        }

        await UntilAsync(() => _database.Events.Find(id) is null);
        Assert.Equal(10, receiver.All.Count);
    }

    /// <summary>This happens when the clock is set back. No event waits longer than the maximum wait.</summary>
    [Fact]
    public async Task An_event_in_the_far_future_is_sent_now_and_does_not_delay_others()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync();
        string late = Add(receiver.Url);
        _database.Events.Postpone(late, _time.GetUtcNow().AddDays(60));
        Start();
        Assert.Equal(late, (await receiver.NextAsync()).Id);
        Assert.Equal(Add(receiver.Url), (await receiver.NextAsync()).Id);
    }

    [Fact]
    public void Waits_vary_by_ten_percent()
    {
        double[] waits = [.. Enumerable.Range(0, 1000).Select(_ => RetrySchedule.WaitAfter(3)!.Value.TotalSeconds)];
        Assert.All(waits, wait => Assert.InRange(wait, 27, 33));
        Assert.InRange(waits.Min(), 27, 28);
        Assert.InRange(waits.Max(), 32, 33);
        Assert.Null(RetrySchedule.WaitAfter(10));
    }

    [Theory]
    [InlineData(200)]
    [InlineData(202)]
    [InlineData(299)]
    [InlineData(410)]
    public async Task A_2xx_and_a_410_end_the_delivery(int status)
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        Start();
        string id = Add(receiver.Url);
        await UntilAsync(() => _database.Events.Find(id) is null);
        Assert.Single(receiver.All);
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await using WebhookReceiver elsewhere = await WebhookReceiver.StartAsync();
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) =>
        {
            context.Response.Redirect(elsewhere.Url, permanent: false, preserveMethod: true);
            return Task.CompletedTask;
        });
        Start();
        string id = Add(receiver.Url);
        await UntilAsync(() => _database.Events.Find(id)!.Attempts == 1);
        Assert.Empty(elsewhere.All);
    }

    [Fact]
    public async Task No_response_within_ten_seconds_is_a_failure()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) => StallAsync(context));
        Start();
        string id = Add(receiver.Url);
        await receiver.NextAsync();
        _time.Advance(TimeSpan.FromSeconds(9.9));
        Assert.Equal(0, _database.Events.Find(id)!.Attempts);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        await UntilAsync(() => _database.Events.Find(id)!.Attempts == 1);
    }

    /// <summary>Only the status matters. A receiver whose response never ends does not block anything.</summary>
    [Fact]
    public async Task An_endless_response_is_not_read()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync(async (context, _) =>
        {
            context.Response.StatusCode = 200;
            byte[] chunk = new byte[64 * 1024];
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
            }
        });
        Start();
        string id = Add(receiver.Url);
        await UntilAsync(() => _database.Events.Find(id) is null);
    }

    [Fact]
    public async Task A_receiver_that_hangs_uses_four_deliveries_and_does_not_delay_others()
    {
        int atOnce = 0;
        await using WebhookReceiver hanging = await WebhookReceiver.StartAsync(async (context, _) =>
        {
            Interlocked.Increment(ref atOnce);
            await StallAsync(context);
            Interlocked.Decrement(ref atOnce);
        });
        await using WebhookReceiver quick = await WebhookReceiver.StartAsync(address: IPAddress.Parse("127.0.0.2"));
        for (int i = 0; i < 20; i++)
        {
            Add(hanging.Url);
        }

        Start();
        for (int i = 0; i < 4; i++)
        {
            await hanging.NextAsync();
        }

        string id = Add(quick.Url);
        await quick.NextAsync();
        await UntilAsync(() => _database.Events.Find(id) is null);
        Assert.Equal(4, Volatile.Read(ref atOnce));
        Assert.Equal(4, hanging.All.Count);

        _time.Advance(TimeSpan.FromSeconds(10.1));
        for (int i = 0; i < 4; i++)
        {
            await hanging.NextAsync();
        }
    }

    /// <summary>A stop lets deliveries in flight finish. A delivery that was not started is sent at the next start.</summary>
    [Fact]
    public async Task A_stop_waits_for_deliveries_and_loses_no_event()
    {
        var come = new TaskCompletionSource();
        var answer = new TaskCompletionSource();
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync(async (_, before) =>
        {
            if (before == 0)
            {
                come.SetResult();
                await answer.Task;
            }
        });
        WebhookDeliveries deliveries = Start(stopGrace: TimeSpan.FromMinutes(1));
        string id = Add(receiver.Url);
        await come.Task;
        Task stopping = StopAsync(deliveries);
        string late = Add(receiver.Url);
        Assert.False(stopping.IsCompleted);
        answer.SetResult();
        await stopping;
        Assert.Null(_database.Events.Find(id));
        Assert.NotNull(_database.Events.Find(late));

        Start();
        await UntilAsync(() => _database.Events.Find(late) is null);
        Assert.Equal(2, receiver.All.Count);
    }

    [Fact]
    public async Task A_stop_ends_deliveries_that_take_too_long()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) => StallAsync(context));
        WebhookDeliveries deliveries = Start(stopGrace: TimeSpan.Zero);
        string id = Add(receiver.Url);
        await receiver.NextAsync();
        await StopAsync(deliveries);
        Assert.Equal(0, _database.Events.Find(id)!.Attempts);
    }

    /// <summary>The event is written with the end of the batch, and is not changed later.</summary>
    [Fact]
    public void An_event_is_created_once_with_the_end_of_the_batch()
    {
        BatchRecord batch = Batch("http://127.0.0.1:9/x");
        _database.Write(() => _database.Events.AddFor(batch with { Status = BatchStatus.Finalizing }));
        _database.Write(() => _database.Events.AddFor(batch with { WebhookUrl = null }));
        Assert.Empty(_database.Events.Due(DateTimeOffset.MaxValue, 10));
        Assert.Throws<InvalidOperationException>(() => _database.Write(() =>
        {
            _database.Events.AddFor(batch);
            throw new InvalidOperationException("the batch's end could not be written");
        }));
        Assert.Empty(_database.Events.Due(DateTimeOffset.MaxValue, 10));
        _database.Write(() => _database.Events.AddFor(batch));
        (string id, _) = Assert.Single(_database.Events.Due(DateTimeOffset.MaxValue, 10));
        Assert.Equal("batch.completed", JsonDocument.Parse(_database.Events.Find(id)!.Body).RootElement.GetProperty("type").GetString());
    }

    [Fact]
    public void A_data_folder_from_before_webhooks_can_be_read()
    {
        string path = _folder.File("old.db");
        using (var old = Database.Open(path))
        {
            old.Execute("DROP TABLE events");
        }

        using var database = Database.Open(path);
        Assert.Empty(database.Events.Due(DateTimeOffset.MaxValue, 1));
        Assert.Null(database.Events.NextAfter(_time.GetUtcNow()));
    }

    private WebhookDeliveries Start(TimeSpan stopGrace = default)
    {
        var settings = new WebhookSettings { AllowInsecure = true, Secrets = [Secret] };
        var sender = new WebhookSender(settings, new WebhookTargets(allowInsecure: true), _time);
        var deliveries = new WebhookDeliveries(_database, sender, _time, stopGrace, NullLogger.Instance);
        _deliveries.Add(deliveries);
        deliveries.Start();
        return deliveries;
    }

    private async Task StopAsync(WebhookDeliveries deliveries)
    {
        _deliveries.Remove(deliveries);
        await deliveries.DisposeAsync();
    }

    private string Add(string url)
    {
        BatchRecord batch = Batch(url);
        string id = "";
        _database.Write(() =>
        {
            _database.Events.AddFor(batch);
            id = _database.Query("SELECT id FROM events WHERE batch_id = $id", row => row.GetString(0), ("$id", batch.Id)).Single();
        });
        return id;
    }

    private BatchRecord Batch(string url) => new()
    {
        Id = Ids.NewBatch(),
        Owner = "",
        Endpoint = "/v1/chat/completions",
        InputFileId = "file-1",
        CompletionWindow = "24h",
        WebhookUrl = url,
        Status = BatchStatus.Completed,
        CreatedAt = _time.GetUtcNow(),
        ExpiresAt = _time.GetUtcNow().AddDays(1),
        CompletedAt = _time.GetUtcNow(),
    };

    private static async Task StallAsync(HttpContext context)
    {
        try
        {
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition())
        {
            Assert.False(patience.IsCancellationRequested, "The condition was not met in time.");
            await Task.Delay(5);
        }
    }
}
