namespace InferenceBatch.Server.Webhooks;

/// <summary>Log entries for webhooks. They contain only the hosts of receivers, because paths and queries are secret.</summary>
internal static partial class WebhookLog
{
    [LoggerMessage(20, LogLevel.Information, "Delivered {Event} of {Batch} to {Host}.")]
    public static partial void Delivered(ILogger logger, string @event, string batch, string host);

    [LoggerMessage(21, LogLevel.Warning, "Could not deliver {Event} of {Batch} to {Host}, attempt {Attempt}, next attempt in {Seconds:0.#} s: {Reason}")]
    public static partial void Failed(ILogger logger, string @event, string batch, string host, int attempt, double seconds, string reason);

    [LoggerMessage(22, LogLevel.Error, "Gave up delivering {Event} of {Batch} to {Host} after attempt {Attempt}: {Reason}")]
    public static partial void GivenUp(ILogger logger, string @event, string batch, string host, int attempt, string reason);

    [LoggerMessage(23, LogLevel.Error, "Webhooks wait because the database failed: {Reason}")]
    public static partial void DatabaseFailed(ILogger logger, string reason);

    [LoggerMessage(24, LogLevel.Error, "The delivery of {Event} failed because of an unexpected error.")]
    public static partial void DeliveryCrashed(ILogger logger, string @event, Exception exception);
}
