namespace InferenceBatch.Lines;

/// <summary>A file's text is in an encoding that cannot be read, or holds what UTF-8 cannot carry.</summary>
public sealed class TextEncodingException(string message, Exception? cause = null) : Exception(message, cause);
