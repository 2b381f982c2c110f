namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What to do with a line after an attempt.</summary>
/// <param name="History">The attempts at the line, including this one.</param>
/// <param name="Wait">How long to wait before the retry; null if this attempt was the last one.</param>
/// <param name="Reason">Why the line is retried.</param>
internal readonly record struct Verdict(LineHistory History, TimeSpan? Wait, RetryReason Reason = default)
{
    /// <summary>
    /// How long to wait if no other line is ready: the last lines of a batch do not need to wait as long as the others.
    /// </summary>
    public TimeSpan MinWait { get; init; }

    /// <summary>Set if the upstream was unavailable for too long and the run must end: the message for the user.</summary>
    public string? RunError { get; init; }
}
