using System.Management.Automation;
using System.Text.Json;

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
        ["InvalidValue"] = ErrorCategory.InvalidData,
        ["ParameterNotForEndpoint"] = ErrorCategory.InvalidArgument,
        ["DuplicateCustomId"] = ErrorCategory.InvalidData,
        ["ModelMissing"] = ErrorCategory.InvalidData,
        ["PromptMissing"] = ErrorCategory.InvalidData,
        ["RequestTooLarge"] = ErrorCategory.LimitsExceeded,
        ["BatchFailed"] = ErrorCategory.InvalidResult,
        ["BatchNotFinished"] = ErrorCategory.InvalidOperation,
        ["BatchNotCancellable"] = ErrorCategory.InvalidOperation,
        ["WaitTimeout"] = ErrorCategory.OperationTimeout,
        ["DownloadIncomplete"] = ErrorCategory.ReadError,
        ["ResultMissing"] = ErrorCategory.ObjectNotFound,
        ["CheckpointMismatch"] = ErrorCategory.InvalidData,
        ["CheckpointInUse"] = ErrorCategory.ResourceBusy,
        ["ServerStartFailed"] = ErrorCategory.OpenError,
        ["ServerAlreadyRunning"] = ErrorCategory.ResourceExists,
    };

    /// <summary>Makes a record with one of the module's ids.</summary>
    public static ErrorRecord Make(string id, string message, object? target, Exception? cause = null) =>
        new(cause is null ? new InvalidOperationException(message) : new InvalidOperationException(message, cause), id, s_categories[id], target);

    /// <summary>Makes the record for an exception.</summary>
    public static ErrorRecord From(Exception exception, object? target) => exception switch
    {
        IContainsErrorRecord { ErrorRecord: { } record } => record,
        FileNotFoundException or DirectoryNotFoundException => Of("FileNotFound", exception, target),
        UnauthorizedAccessException or IOException => Of("FileUnreadable", exception, target),
        JsonException => Of("ServiceRejected", exception, target),
        _ => new ErrorRecord(exception, exception.GetType().Name, ErrorCategory.NotSpecified, target),
    };

    /// <summary>Whether no other input could fare better, so that the error ends the command.</summary>
    public static bool EndsCommand(ErrorRecord error) => error.FullyQualifiedErrorId.Split(',')[0] is "ApiKeyMissing" or "Unauthorized";

    public static ErrorRecord FileNotFound(string path) =>
        Make("FileNotFound", $"There is no file '{path}'.", path);

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

    private static ErrorRecord Of(string id, Exception exception, object? target) => new(exception, id, s_categories[id], target);
}
