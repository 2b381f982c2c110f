namespace InferenceBatch.Model;

/// <summary>
/// Where a batch stands. The words are those of the Batch API; <see cref="Unknown"/> stands for a word this
/// version does not know (kept in <see cref="Batch.RawStatus"/>) and counts as not finished.
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
