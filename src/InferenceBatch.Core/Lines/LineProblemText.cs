namespace InferenceBatch.Lines;

/// <summary>What to say of a line that could not be read.</summary>
public static class LineProblemText
{
    /// <summary>The issue's code, see <see cref="IssueCodes"/>.</summary>
    public static string Code(this LineProblem problem) =>
        problem is LineProblem.InvalidUtf8 or LineProblem.LoneSurrogate ? IssueCodes.InvalidEncoding : IssueCodes.InvalidJson;

    /// <summary>A sentence that says what is wrong.</summary>
    public static string Message(this LineProblem problem) => problem switch
    {
        LineProblem.NotAnObject => "This line is not a JSON object.",
        LineProblem.InvalidUtf8 => "This line is not valid UTF-8.",
        LineProblem.LoneSurrogate => "This line holds half a surrogate pair (\\ud800 to \\udfff alone), which UTF-8 cannot carry.",
        _ => "This line is not parseable as valid JSON.",
    };
}
