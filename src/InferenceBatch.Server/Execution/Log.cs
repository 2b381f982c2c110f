namespace InferenceBatch.Server.Execution;

/// <summary>Everything the service says to the log. Ids, numbers and system errors only: never a prompt, an answer or a key.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "An input line ({Line}) cannot be read, trying again: {Reason}")]
    public static partial void InputUnreadable(ILogger logger, int line, string reason);

    [LoggerMessage(2, LogLevel.Error, "A result cannot be written, its batch waits: {Reason}")]
    public static partial void LogUnwritable(ILogger logger, string reason);

    [LoggerMessage(3, LogLevel.Information, "{Batch}: {Status}")]
    public static partial void StatusChanged(ILogger logger, string batch, string status);

    [LoggerMessage(4, LogLevel.Error, "{Batch} waits, trying again in {Seconds} s: {Reason}")]
    public static partial void BatchWaits(ILogger logger, string batch, double seconds, string reason);

    [LoggerMessage(5, LogLevel.Error, "{Batch} cannot go on.")]
    public static partial void BatchBroken(ILogger logger, string batch, Exception exception);

    [LoggerMessage(6, LogLevel.Information, "{Count} unfinished batches go on.")]
    public static partial void Recovering(ILogger logger, int count);

    [LoggerMessage(7, LogLevel.Warning, "Expired files could not be deleted: {Reason}")]
    public static partial void SweepFailed(ILogger logger, string reason);

    [LoggerMessage(8, LogLevel.Error, "{Method} {Path} failed: {Reason}")]
    public static partial void RequestFailed(ILogger logger, string method, string path, string reason);

    [LoggerMessage(9, LogLevel.Error, "{Method} {Path} broke.")]
    public static partial void RequestBroke(ILogger logger, string method, string path, Exception exception);

    [LoggerMessage(10, LogLevel.Error, "Input line {Line} broke.")]
    public static partial void LineBroke(ILogger logger, int line, Exception exception);
}
