using System.Management.Automation;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.LocalServer;
using InferenceBatch.Model;
using InferenceBatch.Runs;
using InferenceBatch.Service;
using InferenceBatch.Views;
using InferenceBatch.Webhooks;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Creates all error records of the module, with stable IDs, the right category, the offending object as target, and a message that says
/// what to do.
/// No record contains a key.
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
        ["CheckpointMismatch"] = ErrorCategory.InvalidData,
        ["CheckpointInUse"] = ErrorCategory.ResourceBusy,
        ["WebhookListenFailed"] = ErrorCategory.OpenError,
        ["ServerStartFailed"] = ErrorCategory.OpenError,
        ["ServerNotFound"] = ErrorCategory.ObjectNotFound,
        ["ServerAlreadyRunning"] = ErrorCategory.ResourceExists,
        ["Unexpected"] = ErrorCategory.NotSpecified,
    };

    /// <summary>Creates a record with a message of the module.</summary>
    /// <param name="name">The name of the message in Messages.resx. The part before its dot is the error ID.</param>
    /// <param name="target">The offending object.</param>
    /// <param name="values">The values for the message.</param>
    public static ErrorRecord Of(string name, object? target, params object?[] values) =>
        PassOn(name.Split('.')[0], target, new InvalidOperationException(Messages.Text(name, values)));

    /// <summary>Like <see cref="Of"/>, with the exception that caused the error.</summary>
    public static ErrorRecord Caused(Exception cause, string name, object? target, params object?[] values) =>
        PassOn(name.Split('.')[0], target, new InvalidOperationException(Messages.Text(name, values), cause));

    /// <summary>Creates a record with the message of an exception. Secrets in it and in its inner exceptions are masked.</summary>
    /// <remarks>A message of .NET may repeat a path or a value; the record shows it without characters that control a terminal.</remarks>
    public static ErrorRecord PassOn(string id, object? target, Exception exception)
    {
        var record = new ErrorRecord(SecretMask.Of(exception), id, s_categories[id], target);
        string message = record.Exception.Message;
        string plain = PlainText.Of(message);
        if (!ReferenceEquals(plain, message))
        {
            record.ErrorDetails = new ErrorDetails(plain);
        }

        return record;
    }

    /// <summary>Creates the record for an exception.</summary>
    public static ErrorRecord From(Exception exception, object? target) => exception switch
    {
        IContainsErrorRecord { ErrorRecord: { } record } => record,
        RequestRefusedException refused => PassOn(refused.Reason.ToString(), target, exception),
        ServiceException service => PassOn(service.Kind.ToString(), target, exception),
        ServerStartException => PassOn("ServerStartFailed", target, exception),
        TextEncodingException => PassOn("InvalidBatchFile", target, exception),
        WebhookListenException => PassOn("WebhookListenFailed", target, exception),
        ArgumentException => PassOn("InvalidValue", target, exception),
        RunMismatchException => PassOn("CheckpointMismatch", target, exception),
        RunStoreInUseException => PassOn("CheckpointInUse", target, exception),
        FileUnwritableException => PassOn("FileUnwritable", target, exception),
        FileNotFoundException or DirectoryNotFoundException => PassOn("FileNotFound", target, exception),
        UnauthorizedAccessException or IOException => PassOn("FileUnreadable", target, exception),
        JsonException => PassOn("ServiceRejected", target, exception),
        _ => PassOn("Unexpected", target, exception),
    };

    /// <summary>Whether the error ends the command, because all other input would fail too.</summary>
    public static bool EndsCommand(ErrorRecord error) =>
        error.FullyQualifiedErrorId.Split(',')[0] is "ApiKeyMissing" or "Unauthorized" || error.Exception is FileUnwritableException { AffectsWholeCommand: true };

    public static ErrorRecord FileNotFound(string path, string resolved) =>
        Of("FileNotFound", path, resolved);

    public static ErrorRecord NothingMatches(string path) =>
        Of("FileNotFound.NoMatch", path, path);

    public static ErrorRecord NotAFile(string path) =>
        Of("NotAFile", path, path);

    public static ErrorRecord NotAFileSystemPath(string path, string provider) =>
        Of("NotAFileSystemPath", path, path, provider);

    public static ErrorRecord FolderNotFound(string path) =>
        Of("FileNotFound.Folder", path, Path.GetDirectoryName(path), Path.GetFileName(path));

    public static ErrorRecord FileUnwritable(string path, Exception cause) =>
        Caused(cause, "FileUnwritable", path, path, (cause is FileUnwritableException { InnerException: { } told } ? told : cause).Message);

    public static ErrorRecord FileExists(string path) =>
        Of("FileExists", path, path);

    /// <summary>A second file for a path that the same command has just written.</summary>
    public static ErrorRecord SavedTwice(string path, string id) =>
        Of("FileExists.SavedTwice", path, path, id);

    /// <summary>A batch that the service refused, with the first of its reasons.</summary>
    public static ErrorRecord BatchFailed(Batch batch)
    {
        const int MaxListed = 10;
        if (batch.Errors.Count == 0)
        {
            return Of("BatchFailed.NoReason", batch, batch.Id);
        }

        string? more = batch.Errors.Count > MaxListed ? Messages.Text("BatchFailed.More", batch.Errors.Count - MaxListed) : null;
        return Of("BatchFailed", batch, batch.Id, Listed(batch.Errors.Take(MaxListed), more));
    }

    public static ErrorRecord BatchNotFinished(Batch batch) =>
        Of("BatchNotFinished", batch, batch.Id, ViewText.Status(batch));

    /// <param name="id">The ID of the batch, which still runs.</param>
    /// <param name="waited">How long the command waited.</param>
    /// <param name="last">The batch as last seen, which becomes the target; if null, the ID is the target.</param>
    /// <param name="trouble">Why the last call to the service failed; null if it succeeded.</param>
    /// <param name="advice">How to get the results later.</param>
    public static ErrorRecord WaitTimeout(string id, TimeSpan waited, Batch? last, ServiceException? trouble, string advice)
    {
        string status = last is null ? Messages.Text("WaitTimeout.NotFinished") : ViewText.Status(last);
        return trouble is null
            ? Of("WaitTimeout", last ?? (object)id, id, status, waited.TotalSeconds, advice)
            : Of("WaitTimeout.Unreachable", last ?? (object)id, id, status, waited.TotalSeconds, trouble.Message, advice);
    }

    /// <summary>A batch file that was not sent, with the first of its errors.</summary>
    public static ErrorRecord InvalidBatchFile(BatchFileReport report, string name)
    {
        const int MaxListed = 5;
        IEnumerable<LineIssue> errors = report.Issues.Where(issue => issue.Severity == IssueSeverity.Error).Take(MaxListed);
        string listed = Listed(errors, report.ErrorCount > MaxListed ? Messages.Text("InvalidBatchFile.More") : null);
        return Of("InvalidBatchFile", report, name, report.ErrorCount, listed);
    }

    /// <summary>Returns one line for each item. Texts of a service or a file are cut, and cannot contain terminal control characters.</summary>
    private static string Listed(IEnumerable<object> items, string? more) =>
        string.Concat((more is null ? items : items.Append(more)).Select(item => $"\n  {PlainText.OneLine(item.ToString(), 300)}"));
}
