namespace InferenceBatch.Server.Diagnostics;

/// <summary>The log entries of the engine. They contain IDs, numbers and system errors, but never a prompt, an answer or a key.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "{Source}: {Message} ({Details})")]
    public static partial void HealthIssueBegan(ILogger logger, string source, string message, string details);

    [LoggerMessage(2, LogLevel.Information, "{Source}: The problem with the {Kind} is resolved.")]
    public static partial void HealthIssueEnded(ILogger logger, string source, string kind);

    [LoggerMessage(3, LogLevel.Information, "{Batch}: {Status}")]
    public static partial void StatusChanged(ILogger logger, string batch, string status);

    [LoggerMessage(4, LogLevel.Warning, "{Batch}: Dropped {Bytes} bytes of damaged results. Their lines are sent again.")]
    public static partial void ResultsDamaged(ILogger logger, string batch, long bytes);

    [LoggerMessage(5, LogLevel.Error, "{Batch}: An unexpected error ended the batch.")]
    public static partial void BatchBroken(ILogger logger, string batch, Exception exception);

    [LoggerMessage(6, LogLevel.Information, "Resuming unfinished batches: {Count}.")]
    public static partial void Recovering(ILogger logger, int count);

    [LoggerMessage(7, LogLevel.Warning, "Expired files could not be deleted: {Reason}")]
    public static partial void SweepFailed(ILogger logger, string reason);

    [LoggerMessage(8, LogLevel.Error, "{Method} {Path} failed: {Reason}")]
    public static partial void RequestFailed(ILogger logger, string method, string path, string reason);

    [LoggerMessage(9, LogLevel.Error, "{Method} {Path} failed because of an unexpected error.")]
    public static partial void RequestCrashed(ILogger logger, string method, string path, Exception exception);

    [LoggerMessage(10, LogLevel.Error, "Input line {Line} failed because of an unexpected error.")]
    public static partial void LineBroke(ILogger logger, int line, Exception exception);

    [LoggerMessage(12, LogLevel.Error, "{Message}")]
    public static partial void UpstreamDown(ILogger logger, string message);

    [LoggerMessage(13, LogLevel.Warning, "{Message}")]
    public static partial void UpstreamLimited(ILogger logger, string message);

    [LoggerMessage(14, LogLevel.Information, "The upstream is up again.")]
    public static partial void UpstreamUp(ILogger logger);

    [LoggerMessage(15, LogLevel.Information, "No line has finished recently: {What}")]
    public static partial void UpstreamQuiet(ILogger logger, string what);

    [LoggerMessage(16, LogLevel.Information, "{Batch}: {Retries}")]
    public static partial void RetryTotals(ILogger logger, string batch, string retries);

    [LoggerMessage(11, LogLevel.Error, "Results cannot be synced to disk. Retrying: {Reason}")]
    public static partial void SyncRefused(ILogger logger, string reason);
}
