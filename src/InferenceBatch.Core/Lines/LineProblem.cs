namespace InferenceBatch.Lines;

/// <summary>Why a line could not be read as a JSON object.</summary>
public enum LineProblem
{
    None,
    InvalidJson,
    NotAnObject,
    InvalidUtf8,
    LoneSurrogate,
}
