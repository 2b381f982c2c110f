namespace InferenceBatch.Runs;

/// <summary>Another process holds the checkpoint.</summary>
public sealed class RunStoreInUseException(string folder)
    : IOException($"The checkpoint '{folder}' is in use by another process. Wait for it, or end it.");
