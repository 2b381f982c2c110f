using System.Text.RegularExpressions;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>What an error of a file or a batch means for the part it was made of.</summary>
internal static partial class BatchFate
{
    private static readonly HashSet<string> s_goneCodes = new(StringComparer.OrdinalIgnoreCase)
    {
        "file_not_found", "filenotfound", "input_file_not_found", "no_such_file", "file_deleted", "file_expired", "deleted", "deleting", "expired",
    };

    /// <summary>Whether a batch failed only because the queue is full, with nothing answered.</summary>
    public static bool IsQueueFull(Batch batch) => HasFailedWhole(batch) && batch.Errors.Any(IsQueueFull);

    /// <summary>Whether a batch failed because the service no longer has its input file, with nothing answered.</summary>
    public static bool IsFileGone(Batch batch) => HasFailedWhole(batch) && batch.Errors.Any(IsFileGone);

    /// <summary>Whether an upload or a create was refused only because the queue, or the place for files, is full.</summary>
    public static bool IsQueueFull(ServiceException refusal) =>
        refusal.Kind is ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceRejected && refusal.Error is { } error && IsQueueFull(error);

    /// <summary>Whether a create was refused because the service does not have the input file.</summary>
    public static bool IsFileGone(ServiceException refusal) => !RetryRules.IsFinal(refusal.Error?.Code)
        && (refusal.Kind == ServiceErrorKind.FileNotFound || (refusal.Kind == ServiceErrorKind.ServiceRejected && refusal.Error is { } error && IsFileGone(error)));

    /// <summary>
    /// Whether a batch that has ended promises more results than its files hold: by its counts, or because it is completed
    /// and nothing is there. Services name the files late, or show them late.
    /// </summary>
    /// <param name="batch">The batch.</param>
    /// <param name="lines">How many results its files hold.</param>
    /// <param name="requests">How many requests it was made of.</param>
    public static bool IsShort(Batch batch, long lines, long requests) => lines < Math.Min(batch.RequestCounts.Done, requests)
        || (lines == 0 && batch.Status switch
        {
            BatchStatus.Completed => true,
            BatchStatus.Expired or BatchStatus.Cancelled => batch is { RequestCounts.Total: 0, OutputFileId: null, ErrorFileId: null } && !NeverBegan(batch),
            _ => false,
        });

    /// <summary>Whether the service says when batches begin, and that this one did not.</summary>
    private static bool NeverBegan(Batch batch) => batch.InProgressAt is null && batch.Json.Contains("\"in_progress_at\"", StringComparison.Ordinal);

    private static bool HasFailedWhole(Batch batch) => batch is { Status: BatchStatus.Failed, OutputFileId: null, RequestCounts.Done: 0 };

    private static bool IsQueueFull(ServiceError error) => RetryRules.IsQueueFull(error.Code, error.Message);

    private static bool IsFileGone(ServiceError error) => error.Line is null
        && (s_goneCodes.Contains(error.Code) || (!error.Message.Contains("model", StringComparison.OrdinalIgnoreCase) && GoneText().IsMatch(error.Message)));

    [GeneratedRegex(
        @"\bno such (input )?file\b|\b(no|could not find|cannot find|did not find)\b.{0,20}\bfile\b.{0,20}\bid\b"
        + @"|\bfile\b.{0,80}\b(not found|not exist|no longer|deleted|removed|expired)\b",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex GoneText();
}
