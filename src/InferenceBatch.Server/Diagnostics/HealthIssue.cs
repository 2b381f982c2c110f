namespace InferenceBatch.Server.Diagnostics;

/// <summary>Something that keeps lines from going on.</summary>
/// <param name="Kind">What is in trouble: see <see cref="HealthIssues"/>.</param>
/// <param name="Message">For people; without paths, ids and prompts.</param>
/// <param name="Since">When it began.</param>
internal sealed record HealthIssue(string Kind, string Message, DateTimeOffset Since)
{
    /// <summary>The state of an upstream: <c>away</c>, <c>refusing</c> or <c>limited</c>; null for other kinds.</summary>
    public string? State { get; init; }
}
