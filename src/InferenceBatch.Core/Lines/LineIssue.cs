namespace InferenceBatch.Lines;

/// <summary>How much a <see cref="LineIssue"/> matters.</summary>
public enum IssueSeverity
{
    /// <summary>Worth knowing; every service we know takes it.</summary>
    Remark,

    /// <summary>Some services refuse it, or it is probably not meant.</summary>
    Warning,

    /// <summary>The service will refuse the file.</summary>
    Error,
}

/// <summary>One thing to say about one line of a batch file.</summary>
/// <param name="Line">The line, counted from 1; null where the whole file is meant.</param>
/// <param name="CustomId">The line's <c>custom_id</c>, where it has a readable one.</param>
/// <param name="Code">The Batch API's own code where it has one, see <see cref="IssueCodes"/>.</param>
/// <param name="Message">What is wrong and, where it is not plain, what to change.</param>
/// <param name="Severity">How much it matters.</param>
/// <param name="Param">The field meant, such as <c>body.model</c>.</param>
public sealed record LineIssue(
    int? Line, string? CustomId, string Code, string Message, IssueSeverity Severity, string? Param = null)
{
    public override string ToString() => Line is null ? $"{Code}: {Message}" : $"line {Line}: {Code}: {Message}";
}
