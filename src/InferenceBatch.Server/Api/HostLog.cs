namespace InferenceBatch.Server.Api;

/// <summary>What is logged of the service's own life.</summary>
internal static partial class HostLog
{
    [LoggerMessage(30, LogLevel.Information, "inference-batch {Version} starts, process {Process}.")]
    public static partial void Starting(ILogger logger, string? version, int process);

    [LoggerMessage(31, LogLevel.Information, "Listening on {Address}.")]
    public static partial void Listening(ILogger logger, Uri address);

    [LoggerMessage(33, LogLevel.Warning, "{Count} unfinished batches were started with the upstream {Before}. Their other lines are sent to {Now}.")]
    public static partial void OtherUpstream(ILogger logger, int count, string before, string now);

    [LoggerMessage(32, LogLevel.Information, "Stopping: lines in flight may end.")]
    public static partial void Stopping(ILogger logger);
}
