namespace InferenceBatch.Server.Webhooks;

/// <summary>What is logged of webhooks. Paths and queries of receivers' addresses are secrets: hosts only.</summary>
internal static partial class WebhookLog
{
    [LoggerMessage(20, LogLevel.Information, "{Event} of {Batch} was taken by {Host}.")]
    public static partial void Delivered(ILogger logger, string @event, string batch, string host);

    [LoggerMessage(21, LogLevel.Warning, "{Event} of {Batch} was not taken by {Host}, attempt {Attempt}, trying again in {Seconds:0.#} s: {Reason}")]
    public static partial void Failed(ILogger logger, string @event, string batch, string host, int attempt, double seconds, string reason);

    [LoggerMessage(22, LogLevel.Error, "{Event} of {Batch} is given up, attempt {Attempt} at {Host}: {Reason}")]
    public static partial void GivenUp(ILogger logger, string @event, string batch, string host, int attempt, string reason);

    [LoggerMessage(23, LogLevel.Error, "Webhooks wait for the database: {Reason}")]
    public static partial void DatabaseFailed(ILogger logger, string reason);

    [LoggerMessage(24, LogLevel.Error, "{Event} broke on its way.")]
    public static partial void Broke(ILogger logger, string @event, Exception exception);
}
