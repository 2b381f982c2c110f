namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>The earlier attempts at a line.</summary>
/// <param name="Attempts">Attempts that count against <see cref="EngineSettings.MaxAttempts"/>.</param>
/// <param name="FailedAt">The newest ticket when the line last failed; 0 if it has not failed.</param>
/// <param name="Throttles">How many times in a row it was throttled.</param>
/// <param name="Round">The round (<see cref="FailureRounds"/>) in which its last attempt failed with a 500; 0 if it did not. <paramref name="Attempts"/> does not include that attempt yet.</param>
internal readonly record struct LineHistory(int Attempts, long FailedAt = 0, int Throttles = 0, long Round = 0);
