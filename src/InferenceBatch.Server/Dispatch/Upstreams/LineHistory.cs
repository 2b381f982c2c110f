namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What is known of the earlier attempts at a line.</summary>
/// <param name="Attempts">Attempts that count against <see cref="EngineSettings.MaxAttempts"/>.</param>
/// <param name="FailedAt">The newest ticket that was out when the line last failed; 0 for a line that has not failed.</param>
/// <param name="Throttles">How often in a row it was throttled.</param>
/// <param name="Row">The row of failures (<see cref="UpstreamWatch.Row"/>) that its last attempt is part of; 0 for none. The attempt is not among <paramref name="Attempts"/> yet.</param>
internal readonly record struct LineHistory(int Attempts, long FailedAt = 0, int Throttles = 0, long Row = 0);
