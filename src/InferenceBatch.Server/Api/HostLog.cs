namespace InferenceBatch.Server.Api;

/// <summary>Log entries for the start and stop of the service.</summary>
internal static partial class HostLog
{
    [LoggerMessage(30, LogLevel.Information, "Starting inference-batch {Version}, process {Process}.")]
    public static partial void Starting(ILogger logger, string? version, int process);

    [LoggerMessage(31, LogLevel.Information, "Listening on {Address}.")]
    public static partial void Listening(ILogger logger, Uri address);

    [LoggerMessage(33, LogLevel.Warning, "Unfinished batches of the upstream {Before}: {Count}. Their remaining lines are sent to {Now}.")]
    public static partial void OtherUpstream(ILogger logger, string before, int count, string now);

    [LoggerMessage(32, LogLevel.Information, "Stopping. Lines in flight have a few seconds to finish.")]
    public static partial void Stopping(ILogger logger);
}
