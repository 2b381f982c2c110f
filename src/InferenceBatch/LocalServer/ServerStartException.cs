namespace InferenceBatch.LocalServer;

/// <summary>The local service did not start. The message contains its output.</summary>
public sealed class ServerStartException(string message, Exception? innerException = null) : Exception(message, innerException);
