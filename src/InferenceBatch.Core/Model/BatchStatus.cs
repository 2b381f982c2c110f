namespace InferenceBatch.Model;

/// <summary>
/// The status of a batch, in the words of the Batch API. <see cref="Unknown"/> is any word that this version does not know
/// (<see cref="Batch.RawStatus"/> has it), and counts as not finished.
/// </summary>
public enum BatchStatus
{
    Unknown,
    Validating,
    InProgress,
    Finalizing,
    Completed,
    Failed,
    Expired,
    Cancelling,
    Cancelled,
}
