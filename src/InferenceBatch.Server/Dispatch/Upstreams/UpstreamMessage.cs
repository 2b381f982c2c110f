using System.Globalization;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>The messages about an upstream for the log, the page, <c>/healthz</c> and <c>run</c>.</summary>
internal static class UpstreamMessage
{
    /// <summary>Returns why a run gives up.</summary>
    /// <param name="attempt">The last attempt.</param>
    /// <param name="time">How long lines were held, at least.</param>
    public static string OfGivingUp(in Attempt attempt, TimeSpan time) => attempt.IsRedirect ? $"{attempt.Reason} Nothing is lost. To resume, run the same command again."
        : string.Create(CultureInfo.InvariantCulture, $"The upstream has been unavailable for {time.TotalSeconds:0} s: {attempt.Reason} Nothing is lost. To resume, run the same command again.");

    /// <summary>Returns the sentence for the state; empty while it is up.</summary>
    public static string Of(UpstreamWatch watch, RequestRate rate, EngineSettings settings)
    {
        string limit = settings.GivesUpOnUpstream ? string.Create(CultureInfo.InvariantCulture, $", for at most {watch.GiveUpAfter.TotalSeconds:0} s") : "";
        return watch.State switch
        {
            UpstreamState.Away => $"The upstream is unavailable: {watch.Reason} Lines wait until it is available again{limit}.",
            UpstreamState.Refusing => $"The upstream refuses every request: {watch.Reason} Lines wait until it accepts requests again{limit}.{(watch.IsRedirect ? "" : " The key comes from --upstream-key-env (Start-BatchServer -UpstreamApiKey).")}",
            UpstreamState.Limited when watch.IsHeld => $"The upstream limits requests: {watch.Reason} Lines wait until the pause that it requested is over.",
            UpstreamState.Limited => string.Create(CultureInfo.InvariantCulture,
                $"The upstream limits requests: {watch.Reason} {(rate.PerSecond is { } perSecond ? $"At most {perSecond:N1} requests per second are sent." : "Fewer requests are sent.")}"),
            _ => "",
        };
    }
}
