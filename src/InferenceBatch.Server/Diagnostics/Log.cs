namespace InferenceBatch.Server.Diagnostics;

/// <summary>Everything the service says to the log. Ids, numbers and system errors only: never a prompt, an answer or a key.</summary>
internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "{Who}: {Message} ({Details})")]
    public static partial void TroubleBegan(ILogger logger, string who, string message, string details);

    [LoggerMessage(2, LogLevel.Information, "{Who} goes on: the trouble with the {Kind} is over.")]
    public static partial void TroubleEnded(ILogger logger, string who, string kind);

    [LoggerMessage(3, LogLevel.Information, "{Batch}: {Status}")]
    public static partial void StatusChanged(ILogger logger, string batch, string status);

    [LoggerMessage(4, LogLevel.Warning, "{Batch}: {Bytes} bytes of its results were torn or damaged and are dropped; their lines are run again.")]
    public static partial void ResultsDamaged(ILogger logger, string batch, long bytes);

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

    [LoggerMessage(12, LogLevel.Error, "{Message}")]
    public static partial void UpstreamDown(ILogger logger, string message);

    [LoggerMessage(13, LogLevel.Warning, "{Message}")]
    public static partial void UpstreamLimited(ILogger logger, string message);

    [LoggerMessage(14, LogLevel.Information, "The upstream is up again.")]
    public static partial void UpstreamUp(ILogger logger);

    [LoggerMessage(15, LogLevel.Information, "No line ends: {What}")]
    public static partial void UpstreamQuiet(ILogger logger, string what);

    [LoggerMessage(16, LogLevel.Information, "{Batch}: {Retries}")]
    public static partial void RetryTotals(ILogger logger, string batch, string retries);

    [LoggerMessage(11, LogLevel.Error, "Results are written but the disk refuses to keep them, trying again: {Reason}")]
    public static partial void SyncRefused(ILogger logger, string reason);
}
