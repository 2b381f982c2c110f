using System.Globalization;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What a person is told about an upstream, in the log, on the page, in <c>/healthz</c> and by <c>run</c>.</summary>
internal static class UpstreamMessage
{
    /// <summary>Why a run gives up.</summary>
    /// <param name="attempt">The last attempt.</param>
    /// <param name="time">For how long lines were held, at least.</param>
    public static string GivesUp(in Attempt attempt, TimeSpan time) => attempt.IsRedirect ? $"{attempt.Reason} Nothing is lost: the same command resumes."
        : string.Create(CultureInfo.InvariantCulture, $"The upstream has been away for {time.TotalSeconds:0} s: {attempt.Reason} Nothing is lost: the same command resumes.");

    /// <summary>The sentence for the state; empty while it is up.</summary>
    public static string Of(UpstreamWatch watch, RequestRate rate, EngineSettings settings)
    {
        string patience = settings.GivesUpOnUpstream ? string.Create(CultureInfo.InvariantCulture, $", for {watch.Patience.TotalSeconds:0} s at most") : "";
        return watch.State switch
        {
            UpstreamState.Away => $"The upstream is away: {watch.Reason} Lines wait for it{patience}.",
            UpstreamState.Refusing => $"The upstream refuses every request: {watch.Reason} Lines wait until that is repaired{patience}.{(watch.IsRedirect ? "" : " The key is that of --upstream-key-env (Start-BatchServer -UpstreamApiKey).")}",
            UpstreamState.Limited when watch.IsHeld => $"The upstream limits requests: {watch.Reason} Lines wait as long as it asks.",
            UpstreamState.Limited => string.Create(CultureInfo.InvariantCulture,
                $"The upstream limits requests: {watch.Reason} {(rate.PerSecond is { } perSecond ? $"At most {perSecond:N1} a second are sent." : "Fewer are sent.")}"),
            _ => "",
        };
    }
}
