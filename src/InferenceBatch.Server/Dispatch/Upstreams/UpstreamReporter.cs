using System.Globalization;
using InferenceBatch.Server.Diagnostics;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What <see cref="UpstreamControl"/> tells users about its upstream, in the log and as text.</summary>
/// <remarks>Not safe for several threads. Times are measured from an arbitrary start.</remarks>
internal sealed class UpstreamReporter(UpstreamWatch watch, RequestRate rate, InFlightRequests inFlight, EngineSettings settings, ILogger logger)
{
    /// <summary>An outage is not reported for this many pauses if only a few lines have met it: the lines may be the cause.</summary>
    private const int PausesInDoubt = 4;

    private static readonly TimeSpan s_firstQuietReport = TimeSpan.FromSeconds(30);

    private UpstreamState _reported;
    private TimeSpan _lastEnd;
    private TimeSpan _quietReported;

    /// <summary>Whether the lines that fail at the end of a file may be the cause; the next pauses show it.</summary>
    public bool IsInDoubt => watch.HasOnlyFailedLines && watch.Pauses <= PausesInDoubt;

    /// <summary>A sentence about the state; empty while the upstream is up.</summary>
    public string Message => UpstreamMessage.Of(watch, rate, settings);

    /// <summary>Call this when a request ends.</summary>
    public void RequestEnded(TimeSpan now) => (_lastEnd, _quietReported) = (now, TimeSpan.Zero);

    /// <summary>Writes one line to the log for each change of the state.</summary>
    public void ReportState()
    {
        if (watch.State == _reported || IsInDoubt)
        {
            return;
        }

        _reported = watch.State;
        if (_reported == UpstreamState.Up)
        {
            Log.UpstreamUp(logger);
        }
        else if (_reported == UpstreamState.Limited)
        {
            Log.UpstreamLimited(logger, Message);
        }
        else
        {
            Log.UpstreamDown(logger, Message);
        }
    }

    /// <summary>
    /// Returns what to write to the log if no request has ended for a while: after half a minute, then each time after twice as
    /// long. Otherwise returns null.
    /// </summary>
    public string? TakeQuietReport(TimeSpan now)
    {
        TimeSpan quiet = now - _lastEnd;
        if (watch.IsHeld || inFlight.Count == 0 || quiet < s_firstQuietReport || quiet < 2 * _quietReported)
        {
            return null;
        }

        _quietReported = quiet;
        return DescribeInFlight(now);
    }

    /// <summary>Describes what lines wait for; null while requests end.</summary>
    /// <param name="quiet">How long no request must have ended.</param>
    /// <param name="now">The time.</param>
    public string? DescribeWait(TimeSpan quiet, TimeSpan now) =>
        watch.IsHeld ? string.Create(CultureInfo.InvariantCulture, $"{Message} ({(now - watch.Since).TotalSeconds:N0} s so far.)")
        : inFlight.Count == 0 || now - _lastEnd < quiet ? null
        : DescribeInFlight(now);

    private string DescribeInFlight(TimeSpan now)
    {
        TimeSpan longest = now - inFlight.OldestStart;
        return Model.PluralFormat.Invariant($"{inFlight.Count:N0} {inFlight.Count:line|lines} in flight{(inFlight.Count > 1 ? ", the longest" : "")} for {longest.TotalSeconds:N0} s.");
    }
}
