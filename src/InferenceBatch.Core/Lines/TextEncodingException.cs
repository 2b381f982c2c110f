namespace InferenceBatch.Lines;

/// <summary>A text file has an encoding that cannot be read, or contains text that UTF-8 cannot represent.</summary>
public sealed class TextEncodingException(string message, Exception? cause = null) : Exception(message, cause);
