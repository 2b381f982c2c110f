namespace InferenceBatch.Server.Diagnostics;

/// <summary>A problem that keeps lines from making progress.</summary>
/// <param name="Kind">A constant of <see cref="HealthIssues"/>.</param>
/// <param name="Message">The message for the user, without paths, IDs and prompts.</param>
/// <param name="Since">When it began.</param>
internal sealed record HealthIssue(string Kind, string Message, DateTimeOffset Since)
{
    /// <summary>The state of an upstream: <c>away</c>, <c>refusing</c> or <c>limited</c>; null for other kinds.</summary>
    public string? State { get; init; }
}
