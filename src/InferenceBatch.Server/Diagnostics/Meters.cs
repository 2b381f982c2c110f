using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace InferenceBatch.Server.Diagnostics;

/// <summary>
/// The instruments of the meter <c>InferenceBatch.Server</c>, for <c>dotnet-counters</c> and other collectors of
/// System.Diagnostics.Metrics. Their names are stable; docs/service.md lists them.
/// </summary>
internal static class Meters
{
    public const string Name = "InferenceBatch.Server";

    private static readonly Meter s_meter = new(Name);
    private static long s_inFlight;
    private static long s_waiting;

    /// <summary>Finished attempts, by <c>status</c>: the HTTP status, <c>error</c> (no complete response), <c>abandoned</c> (timeout, cancel, stop).</summary>
    public static readonly Counter<long> Requests = s_meter.CreateCounter<long>("inference_batch.requests", "{request}");

    public static readonly Counter<long> Retries = s_meter.CreateCounter<long>("inference_batch.retries", "{request}");

    public static readonly Histogram<double> Latency = s_meter.CreateHistogram<double>("inference_batch.request.duration", "s");

    public static readonly Histogram<double> Sync = s_meter.CreateHistogram<double>("inference_batch.fsync.duration", "s");

    /// <summary>Attempts to deliver a webhook, by <c>outcome</c>: <c>delivered</c>, <c>failed</c> (will be retried), <c>given_up</c>.</summary>
    public static readonly Counter<long> Deliveries = s_meter.CreateCounter<long>("inference_batch.webhook.deliveries", "{delivery}");

    static Meters()
    {
        // Observable, so that a listener that starts later gets the current value and not only later changes.
        s_meter.CreateObservableUpDownCounter("inference_batch.requests.in_flight", () => Interlocked.Read(ref s_inFlight), "{request}");
        s_meter.CreateObservableUpDownCounter("inference_batch.lines.waiting", () => Interlocked.Read(ref s_waiting), "{line}");
    }

    /// <summary>Changes the number of requests in flight.</summary>
    public static void AddInFlight(int change) => Interlocked.Add(ref s_inFlight, change);

    /// <summary>Changes the number of lines of running batches without a result, including those in flight.</summary>
    public static void AddWaiting(int change) => Interlocked.Add(ref s_waiting, change);

    /// <summary>Records the time since <paramref name="start"/> (<see cref="Stopwatch.GetTimestamp"/>).</summary>
    public static void RecordSince(this Histogram<double> histogram, long start) => histogram.Record(Stopwatch.GetElapsedTime(start).TotalSeconds);
}
