using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Server.Webhooks;

namespace InferenceBatch.Server.Tests;

/// <summary>The counters are shared by the whole process, so these tests do not run in parallel with others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeterCollection
{
    public const string Name = "meters";
}

/// <summary>The values that a collector of the meter <c>InferenceBatch.Server</c> gets.</summary>
[Collection(MeterCollection.Name)]
public sealed class MeterTests : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<(string Name, double Value, string? Tag)> _seen = new();

    public MeterTests()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "InferenceBatch.Server")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _seen.Enqueue((instrument.Name, value, TagOf(tags))));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => _seen.Enqueue((instrument.Name, value, TagOf(tags))));
        _listener.Start();
    }

    public void Dispose() => _listener.Dispose();

    [Fact]
    public async Task The_attempts_of_a_batch_are_counted()
    {
        var last = new TaskCompletionSource();
        async Task WaitAsync(FaultUpstream.Call call)
        {
            await last.Task;
            await call.OkAsync();
        }

        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call switch
        {
            { Prompt: "prompt 1", Attempt: 1 } => call.AnswerAsync(429, "{}", headers: ("retry-after-ms", "1")),
            { Prompt: "prompt 2" } => call.AnswerAsync(400, "{}"),
            { Prompt: "prompt 3", Attempt: 1 } => call.Drop(),
            { Prompt: "prompt 5" } => WaitAsync(call),
            _ => call.OkAsync(),
        });
        await using (TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address }))
        {
            string id = await service.Api.SubmitAsync(Requests.File(5));
            await service.Api.DoneAsync(id, 4);
            // A collector that starts during a batch gets the current values.
            Assert.Equal((1, 1), (Observed("inference_batch.lines.waiting"), Observed("inference_batch.requests.in_flight")));
            last.SetResult();
            await service.Api.EndAsync(id);
        }

        Assert.Equal(4, Sum("inference_batch.requests", "status=200"));
        Assert.Equal(1, Sum("inference_batch.requests", "status=400"));
        Assert.Equal(1, Sum("inference_batch.requests", "status=429"));
        Assert.Equal(1, Sum("inference_batch.requests", "status=error"));
        Assert.Equal(2, Sum("inference_batch.retries"));
        Assert.Equal(6, Count("inference_batch.request.duration"));
        Assert.True(Count("inference_batch.fsync.duration") > 0);
        Assert.All(_seen.Where(item => item.Name.EndsWith(".duration", StringComparison.Ordinal)), item => Assert.InRange(item.Value, 0, 30));
        Assert.Equal((0, 0), (Observed("inference_batch.lines.waiting"), Observed("inference_batch.requests.in_flight")));
    }

    [Fact]
    public async Task Cancelled_lines_are_not_counted_as_waiting()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.StallAsync());
        await using (TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = upstream.Address,
            Engine = settings.Engine with { CancelGrace = TimeSpan.Zero },
        }))
        {
            string id = await service.Api.SubmitAsync(Requests.File(3));
            await service.Api.UntilAsync(id, _ => upstream.AtOnce == 3);
            await service.Api.CancelAsync(id);
            await service.Api.EndAsync(id);
        }

        Assert.Equal(3, Sum("inference_batch.requests", "status=abandoned"));
        Assert.Equal((0, 0), (Observed("inference_batch.lines.waiting"), Observed("inference_batch.requests.in_flight")));
    }

    [Fact]
    public async Task Webhook_deliveries_are_counted()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, before) =>
        {
            context.Response.StatusCode = before == 0 ? 500 : 204;
            return Task.CompletedTask;
        });
        await using (TestService service = await TestService.StartAsync(settings => settings with { Webhooks = new WebhookSettings { AllowInsecure = true } }))
        {
            await service.Api.SubmitAsync(Requests.File(1), webhookUrl: receiver.Url);
            await receiver.NextAsync();
            await receiver.NextAsync();
        }

        Assert.Equal(1, Sum("inference_batch.webhook.deliveries", "outcome=failed"));
        Assert.Equal(1, Sum("inference_batch.webhook.deliveries", "outcome=delivered"));
    }

    private static string? TagOf(ReadOnlySpan<KeyValuePair<string, object?>> tags) => tags.Length == 0 ? null : $"{tags[0].Key}={tags[0].Value}";

    private double Sum(string name, string? tag = null) => _seen.Where(item => item.Name == name && item.Tag == tag).Sum(item => item.Value);

    private double Observed(string name)
    {
        _listener.RecordObservableInstruments();
        return _seen.Last(item => item.Name == name).Value;
    }

    private int Count(string name) => _seen.Count(item => item.Name == name);
}
