namespace InferenceBatch.Runs;

/// <summary>A checkpoint belongs to another run (other rows or another service), or the folder is not a checkpoint. Nothing was sent.</summary>
public sealed class RunMismatchException(string message) : Exception(message);
