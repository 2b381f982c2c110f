namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What is known of the earlier attempts at a line.</summary>
/// <param name="Attempts">Attempts that count against <see cref="EngineSettings.MaxAttempts"/>.</param>
/// <param name="FailedAt">The newest ticket that was out when the line last failed; 0 for a line that has not failed.</param>
/// <param name="Throttles">How often in a row it was throttled.</param>
/// <param name="Round">The round (<see cref="FailureRounds"/>) in which its last attempt failed with a 500; 0 for none. The attempt is not among <paramref name="Attempts"/> yet.</param>
internal readonly record struct LineHistory(int Attempts, long FailedAt = 0, int Throttles = 0, long Round = 0);
