namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What becomes of a line after an attempt.</summary>
/// <param name="History">The line's attempts, this one included.</param>
/// <param name="Wait">After how long the line is sent again; null when this attempt was its last.</param>
/// <param name="Reason">Why it is sent again.</param>
internal readonly record struct Verdict(LineHistory History, TimeSpan? Wait, RetryReason Reason = default)
{
    /// <summary>After how long it may be sent when no other line is ready: the last lines of a batch need not wait as long as the others.</summary>
    public TimeSpan Soonest { get; init; }

    /// <summary>Set when the upstream has been away for too long, and nothing will end the wait: what to tell the user.</summary>
    public string? GivesUp { get; init; }
}
