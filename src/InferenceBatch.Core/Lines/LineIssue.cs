using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>The severity of a <see cref="LineIssue"/>.</summary>
public enum IssueSeverity
{
    /// <summary>For information. The service accepts it.</summary>
    Remark,

    /// <summary>Some services reject it, or it is probably a mistake.</summary>
    Warning,

    /// <summary>The service will reject the file.</summary>
    Error,
}

/// <summary>A problem of one line of a batch file, or of the whole file.</summary>
/// <param name="Line">The line, counted from 1; null for the whole file.</param>
/// <param name="CustomId">The <c>custom_id</c> of the line; null if it cannot be read.</param>
/// <param name="Code">The code of the Batch API if it has one, see <see cref="IssueCodes"/>.</param>
/// <param name="Message">What is wrong and, if it is not obvious, what to change.</param>
/// <param name="Severity">The severity.</param>
/// <param name="Param">The field, such as <c>body.model</c>.</param>
public sealed record LineIssue(
    int? Line, string? CustomId, string Code, string Message, IssueSeverity Severity, string? Param = null)
{
    /// <summary>What is wrong and, if it is not obvious, what to change. Text of the file in it cannot control a terminal.</summary>
    public string Message { get; init; } = PlainText.Of(Message);

    public override string ToString() => Line is null ? $"{Code}: {Message}" : $"line {Line}: {Code}: {Message}";
}
