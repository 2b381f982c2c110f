using System.Globalization;
using System.Management.Automation;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Runs;
using InferenceBatch.Service;
using InferenceBatch.Webhooks;

namespace InferenceBatch.Pipeline;

/// <summary>
/// Makes every error record of the module: stable ids, the right category, the offending object as target, a message
/// that says what to do. No record carries a key.
/// </summary>
internal static class ErrorRecords
{
    private static readonly Dictionary<string, ErrorCategory> s_categories = new(StringComparer.Ordinal)
    {
        ["ApiKeyMissing"] = ErrorCategory.AuthenticationError,
        ["Unauthorized"] = ErrorCategory.AuthenticationError,
        ["PermissionDenied"] = ErrorCategory.PermissionDenied,
        ["BatchNotFound"] = ErrorCategory.ObjectNotFound,
        ["FileNotFound"] = ErrorCategory.ObjectNotFound,
        ["NotAFile"] = ErrorCategory.InvalidArgument,
        ["NotAFileSystemPath"] = ErrorCategory.InvalidArgument,
        ["FileUnreadable"] = ErrorCategory.ReadError,
        ["FileUnwritable"] = ErrorCategory.WriteError,
        ["FileExists"] = ErrorCategory.ResourceExists,
        ["RateLimited"] = ErrorCategory.LimitsExceeded,
        ["ServiceUnavailable"] = ErrorCategory.ConnectionError,
        ["ServiceRejected"] = ErrorCategory.InvalidOperation,
        ["NotSupportedByService"] = ErrorCategory.NotImplemented,
        ["InvalidBatchFile"] = ErrorCategory.InvalidData,
        ["InvalidPriceTable"] = ErrorCategory.InvalidData,
        ["InvalidValue"] = ErrorCategory.InvalidData,
        ["ParameterNotForEndpoint"] = ErrorCategory.InvalidArgument,
        ["DuplicateCustomId"] = ErrorCategory.InvalidData,
        ["InvalidCustomId"] = ErrorCategory.InvalidData,
        ["ModelMissing"] = ErrorCategory.InvalidData,
        ["PromptMissing"] = ErrorCategory.InvalidData,
        ["RequestMissing"] = ErrorCategory.InvalidArgument,
        ["RequestTooLarge"] = ErrorCategory.LimitsExceeded,
        ["BatchFailed"] = ErrorCategory.InvalidResult,
        ["BatchNotFinished"] = ErrorCategory.InvalidOperation,
        ["BatchNotCancellable"] = ErrorCategory.InvalidOperation,
        ["WaitTimeout"] = ErrorCategory.OperationTimeout,
        ["DownloadIncomplete"] = ErrorCategory.ReadError,
        ["ResultMissing"] = ErrorCategory.ObjectNotFound,
        ["CheckpointMismatch"] = ErrorCategory.InvalidData,
        ["CheckpointInUse"] = ErrorCategory.ResourceBusy,
        ["WebhookListenFailed"] = ErrorCategory.OpenError,
        ["ServerStartFailed"] = ErrorCategory.OpenError,
        ["ServerNotFound"] = ErrorCategory.ObjectNotFound,
        ["ServerAlreadyRunning"] = ErrorCategory.ResourceExists,
    };

    /// <summary>Makes a record with one of the module's ids.</summary>
    public static ErrorRecord Make(string id, string message, object? target, Exception? cause = null) =>
        new(cause is null ? new InvalidOperationException(message) : new InvalidOperationException(message, cause), id, s_categories[id], target);

    /// <summary>Makes the record for an exception.</summary>
    public static ErrorRecord From(Exception exception, object? target) => exception switch
    {
        IContainsErrorRecord { ErrorRecord: { } record } => record,
        RequestRefusedException refused => Of(refused.Reason.ToString(), exception, target),
        ServiceException service => Of(service.Kind.ToString(), exception, target),
        ServerStartException => Of("ServerStartFailed", exception, target),
        TextEncodingException => Of("InvalidBatchFile", exception, target),
        WebhookListenException => Of("WebhookListenFailed", exception, target),
        ArgumentException => Of("InvalidValue", exception, target),
        RunMismatchException => Of("CheckpointMismatch", exception, target),
        RunStoreInUseException => Of("CheckpointInUse", exception, target),
        FileNotFoundException or DirectoryNotFoundException => Of("FileNotFound", exception, target),
        UnauthorizedAccessException or IOException => Of("FileUnreadable", exception, target),
        JsonException => Of("ServiceRejected", exception, target),
        _ => new ErrorRecord(exception, exception.GetType().Name, ErrorCategory.NotSpecified, target),
    };

    /// <summary>Whether no other input could fare better, so that the error ends the command.</summary>
    public static bool EndsCommand(ErrorRecord error) => error.FullyQualifiedErrorId.Split(',')[0] is "ApiKeyMissing" or "Unauthorized";

    public static ErrorRecord FileNotFound(string path, string resolved) =>
        Make("FileNotFound", $"There is no file '{resolved}'.", path);

    public static ErrorRecord NothingMatches(string path) =>
        Make("FileNotFound", $"No file matches '{path}'. Use -LiteralPath for a name that holds wildcard characters.", path);

    public static ErrorRecord NotAFile(string path) =>
        Make("NotAFile", $"'{path}' is a folder; a file is wanted.", path);

    public static ErrorRecord NotAFileSystemPath(string path, string provider) =>
        Make("NotAFileSystemPath", $"'{path}' belongs to the provider {provider}; a path of the file system is wanted.", path);

    public static ErrorRecord FolderNotFound(string path) =>
        Make("FileNotFound", $"There is no folder '{Path.GetDirectoryName(path)}' to write '{Path.GetFileName(path)}' to.", path);

    public static ErrorRecord FileUnwritable(string path, Exception cause) =>
        Make("FileUnwritable", $"'{path}' cannot be written: {cause.Message}", path, cause);

    public static ErrorRecord FileExists(string path) =>
        Make("FileExists", $"The file '{path}' exists already. Use -Force to replace it.", path);

    /// <summary>A second file for the path one was just saved to.</summary>
    public static ErrorRecord SavedTwice(string path, string id) =>
        Make("FileExists", $"'{path}' was saved just now; {id} would replace it. Give a folder as -Destination.", path);

    /// <summary>A batch the service refused, with the first of the service's reasons.</summary>
    public static ErrorRecord BatchFailed(Batch batch)
    {
        const int MaxListed = 10;
        var text = new StringBuilder($"The batch {batch.Id} failed");
        text.Append(batch.Errors.Count == 0 ? "; the service gave no reason." : ":");
        foreach (ServiceError error in batch.Errors.Take(MaxListed))
        {
            text.Append("\n  ").Append(error);
        }

        if (batch.Errors.Count > MaxListed)
        {
            text.Append(CultureInfo.CurrentCulture, $"\n  and {batch.Errors.Count - MaxListed:N0} more; see the Errors of the batch.");
        }

        return Make("BatchFailed", text.ToString(), batch);
    }

    public static ErrorRecord BatchNotFinished(Batch batch) =>
        Make("BatchNotFinished", $"The batch {batch.Id} is {batch.RawStatus} and has no results yet. Wait for it with Wait-Batch, or use -Wait.", batch);

    /// <param name="id">The batch still running.</param>
    /// <param name="waited">How long it was waited for.</param>
    /// <param name="last">The batch as it was last seen; the error's target, else the id is.</param>
    public static ErrorRecord WaitTimeout(string id, TimeSpan waited, Batch? last) =>
        Make(
            "WaitTimeout",
            string.Create(CultureInfo.CurrentCulture, $"The batch {id} is {last?.RawStatus ?? "not finished"} after {waited.TotalSeconds:N0} seconds. It goes on; to wait again: {BatchWait.ResumeLine([id])}"),
            last ?? (object)id);

    /// <summary>A batch file that was not sent, with the first of its errors.</summary>
    public static ErrorRecord InvalidBatchFile(BatchFileReport report, string name)
    {
        const int MaxListed = 5;
        List<LineIssue> errors = [.. report.Issues.Where(issue => issue.Severity == IssueSeverity.Error)];
        var text = new StringBuilder();
        text.Append(CultureInfo.CurrentCulture, $"'{name}' was not sent: {report.ErrorCount:N0} {(report.ErrorCount == 1 ? "error" : "errors")}.");
        foreach (LineIssue issue in errors.Take(MaxListed))
        {
            text.Append("\n  ").Append(issue);
        }

        if (report.ErrorCount > MaxListed)
        {
            text.Append("\n  Test-BatchFile lists all.");
        }

        return Make("InvalidBatchFile", text.ToString(), report);
    }

    private static ErrorRecord Of(string id, Exception exception, object? target) => new(exception, id, s_categories[id], target);
}
