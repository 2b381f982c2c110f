using System.Text.RegularExpressions;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>Rules about the outcome of a batch or its file: whether the queue is full, the input file is gone, or results are incomplete.</summary>
internal static partial class BatchOutcome
{
    private static readonly HashSet<string> s_goneCodes = new(StringComparer.OrdinalIgnoreCase)
    {
        "file_not_found", "filenotfound", "input_file_not_found", "no_such_file", "file_deleted", "file_expired", "deleted", "deleting", "expired",
    };

    /// <summary>Whether a batch failed without results, because the queue is full.</summary>
    public static bool IsQueueFull(Batch batch) => HasFailedWithoutResults(batch) && batch.Errors.Any(IsQueueFull);

    /// <summary>Whether a batch failed without results, because the service no longer has its input file.</summary>
    public static bool IsFileGone(Batch batch) => HasFailedWithoutResults(batch) && batch.Errors.Any(IsFileGone);

    /// <summary>Whether an upload or a create was refused because the queue or the file storage is full.</summary>
    public static bool IsQueueFull(ServiceException refusal) =>
        refusal.Kind is ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceRejected && refusal.Error is { } error && IsQueueFull(error);

    /// <summary>Whether a create was refused because the service does not have the input file.</summary>
    public static bool IsFileGone(ServiceException refusal) => !RetryRules.IsFinal(refusal.Error?.Code)
        && (refusal.Kind == ServiceErrorKind.FileNotFound || (refusal.Kind == ServiceErrorKind.ServiceRejected && refusal.Error is { } error && IsFileGone(error)));

    /// <summary>
    /// Whether a batch that has ended should have more results than its files contain: by its counts, or because it is completed
    /// without any result. Services may name or show the files late.
    /// </summary>
    /// <param name="batch">The batch.</param>
    /// <param name="lines">The number of results in its files.</param>
    /// <param name="requests">The number of its requests.</param>
    public static bool IsIncomplete(Batch batch, long lines, long requests) => lines < Math.Min(batch.RequestCounts.Done, requests)
        || (lines == 0 && batch.Status switch
        {
            BatchStatus.Completed => true,
            BatchStatus.Expired or BatchStatus.Cancelled => batch is { RequestCounts.Total: 0, OutputFileId: null, ErrorFileId: null } && !NeverStarted(batch),
            _ => false,
        });

    /// <summary>Whether the service reports when batches start, and this batch did not start.</summary>
    private static bool NeverStarted(Batch batch) => batch.InProgressAt is null && batch.Json.Contains("\"in_progress_at\"", StringComparison.Ordinal);

    private static bool HasFailedWithoutResults(Batch batch) => batch is { Status: BatchStatus.Failed, OutputFileId: null, RequestCounts.Done: 0 };

    private static bool IsQueueFull(ServiceError error) => RetryRules.IsQueueFull(error.Code, error.Message);

    private static bool IsFileGone(ServiceError error) => error.Line is null
        && (s_goneCodes.Contains(error.Code) || (!error.Message.Contains("model", StringComparison.OrdinalIgnoreCase) && GoneText().IsMatch(error.Message)));

    [GeneratedRegex(
        @"\bno such (input )?file\b|\b(no|could not find|cannot find|did not find)\b.{0,20}\bfile\b.{0,20}\bid\b"
        + @"|\bfile\b.{0,80}\b(not found|not exist|no longer|deleted|removed|expired)\b",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex GoneText();
}
