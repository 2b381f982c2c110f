namespace InferenceBatch.Binding;

/// <summary>The script block of a parameter threw for an input object. The message is that of its error.</summary>
internal sealed class RowScriptException(string parameter, Exception cause) : Exception(cause.Message, cause)
{
    /// <summary>The name of the parameter.</summary>
    public string Parameter { get; } = parameter;
}
