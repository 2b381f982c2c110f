using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace InferenceBatch.Server.Diagnostics;

/// <summary>
/// What the process counts, under the meter <c>InferenceBatch.Server</c>: for <c>dotnet-counters</c> and any collector that
/// reads System.Diagnostics.Metrics. Names are for others to rely on; docs/service.md lists them.
/// </summary>
internal static class Meters
{
    public const string Name = "InferenceBatch.Server";

    private static readonly Meter s_meter = new(Name);

    /// <summary>Attempts that ended, by <c>status</c>: the HTTP status, <c>error</c> for no whole answer, <c>abandoned</c> for one given up (a timeout, a cancel, a stop).</summary>
    public static readonly Counter<long> Requests = s_meter.CreateCounter<long>("inference_batch.requests", "{request}");

    public static readonly Counter<long> Retries = s_meter.CreateCounter<long>("inference_batch.retries", "{request}");

    public static readonly UpDownCounter<long> InFlight = s_meter.CreateUpDownCounter<long>("inference_batch.requests.in_flight", "{request}");

    /// <summary>Lines of running batches that have no answer yet, those in flight included.</summary>
    public static readonly UpDownCounter<long> Queue = s_meter.CreateUpDownCounter<long>("inference_batch.lines.waiting", "{line}");

    public static readonly Histogram<double> Latency = s_meter.CreateHistogram<double>("inference_batch.request.duration", "s");

    public static readonly Histogram<double> Sync = s_meter.CreateHistogram<double>("inference_batch.fsync.duration", "s");

    /// <summary>Attempts to deliver a webhook, by <c>outcome</c>: <c>delivered</c>, <c>failed</c> (comes again), <c>given_up</c>.</summary>
    public static readonly Counter<long> Deliveries = s_meter.CreateCounter<long>("inference_batch.webhook.deliveries", "{delivery}");

    /// <summary>Records the time since <paramref name="start"/> (<see cref="Stopwatch.GetTimestamp"/>).</summary>
    public static void RecordSince(this Histogram<double> histogram, long start) => histogram.Record(Stopwatch.GetElapsedTime(start).TotalSeconds);
}
