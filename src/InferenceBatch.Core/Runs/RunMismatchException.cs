namespace InferenceBatch.Runs;

/// <summary>A checkpoint is another run's: other rows, another service, or no checkpoint at all. Nothing was sent.</summary>
public sealed class RunMismatchException(string message) : Exception(message);
