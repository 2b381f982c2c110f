using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Another process uses the checkpoint.</summary>
public sealed class RunStoreInUseException : IOException
{
    /// <param name="folder">The checkpoint.</param>
    /// <param name="owner">The process that uses it; null if unknown.</param>
    internal RunStoreInUseException(string folder, LockOwner? owner)
        : base(owner is null
            ? Messages.Text("CheckpointInUse", folder)
            : Messages.Text("CheckpointInUse.Process", folder, owner.ProcessId, owner.Machine, owner.StartedAt.LocalDateTime.ToString("yyyy-MM-dd HH:mm:ss", System.Globalization.CultureInfo.InvariantCulture)))
    {
    }
}
