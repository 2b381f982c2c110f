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

/// <summary>The code and the message for a line that could not be read.</summary>
public static class LineProblemText
{
    /// <summary>The code of the issue, see <see cref="IssueCodes"/>.</summary>
    public static string Code(this LineProblem problem) =>
        problem is LineProblem.InvalidUtf8 or LineProblem.LoneSurrogate ? IssueCodes.InvalidEncoding : IssueCodes.InvalidJson;

    /// <summary>A sentence that says what is wrong.</summary>
    public static string Message(this LineProblem problem) => problem switch
    {
        LineProblem.NotAnObject => "This line is not a JSON object.",
        LineProblem.InvalidUtf8 => "This line is not valid UTF-8.",
        LineProblem.LoneSurrogate => "This line contains half a surrogate pair (\\ud800 to \\udfff alone), which UTF-8 cannot represent. Remove it from the line.",
        _ => "This line is not parseable as valid JSON.", // The sentence of OpenAI's service.
    };
}
