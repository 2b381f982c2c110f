using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>The words of services for the status of a batch, in any case, with their aliases.</summary>
public static class StatusWords
{
    /// <summary>Reads a word. An unknown one is <see cref="BatchStatus.Unknown"/>, which counts as not finished.</summary>
    public static BatchStatus Read(string? word) => word?.Trim().ToUpperInvariant().Replace('-', '_').Replace(' ', '_') switch
    {
        "VALIDATING" or "QUEUED" or "PENDING" or "PRE_SCHEDULE" => BatchStatus.Validating,
        "IN_PROGRESS" or "PROGRESS" or "RUNNING" => BatchStatus.InProgress,
        "FINALIZING" or "FINALISING" => BatchStatus.Finalizing,
        "COMPLETED" or "SUCCESS" => BatchStatus.Completed,
        "FAILED" => BatchStatus.Failed,
        "EXPIRED" or "TIMEOUT_EXCEEDED" => BatchStatus.Expired,
        "CANCELLING" or "CANCELING" => BatchStatus.Cancelling,
        "CANCELLED" or "CANCELED" => BatchStatus.Cancelled,
        _ => BatchStatus.Unknown,
    };

    /// <summary>Returns the documented word for a status.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The status is <see cref="BatchStatus.Unknown"/>.</exception>
    public static string Write(BatchStatus status) => status switch
    {
        BatchStatus.Validating => "validating",
        BatchStatus.InProgress => "in_progress",
        BatchStatus.Finalizing => "finalizing",
        BatchStatus.Completed => "completed",
        BatchStatus.Failed => "failed",
        BatchStatus.Expired => "expired",
        BatchStatus.Cancelling => "cancelling",
        BatchStatus.Cancelled => "cancelled",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "There is no documented word for this status."),
    };
}
