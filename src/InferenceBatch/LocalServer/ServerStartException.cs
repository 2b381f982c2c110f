namespace InferenceBatch.LocalServer;

/// <summary>The local service did not start; the message holds what it said.</summary>
public sealed class ServerStartException(string message, Exception? innerException = null) : Exception(message, innerException);
