using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Another process holds the checkpoint.</summary>
public sealed class RunStoreInUseException(string folder)
    : IOException(Messages.Text("CheckpointInUse", folder));
