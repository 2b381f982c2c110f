using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>The issues of one validation. All are counted; those of single lines are listed up to a limit.</summary>
internal sealed class IssueList(int maxLineIssues)
{
    private readonly List<LineIssue> _issues = [];
    private int _omitted;
    private bool _linesEnded;

    public int ErrorCount { get; private set; }

    public void Add(LineIssue issue)
    {
        if (issue.Severity == IssueSeverity.Error)
        {
            ErrorCount++;
        }

        if (_linesEnded || _issues.Count < maxLineIssues)
        {
            _issues.Add(issue);
        }
        else
        {
            _omitted++;
        }
    }

    /// <summary>Removes all issues.</summary>
    public void Clear()
    {
        _issues.Clear();
        _omitted = 0;
        ErrorCount = 0;
    }

    /// <summary>Adds the number of omitted issues. Issues that are added later concern the whole file and are always listed.</summary>
    public void EndLines(int lastLine)
    {
        _linesEnded = true;
        if (_omitted > 0)
        {
            Add(new LineIssue(lastLine, null, IssueCodes.MoreIssues, PluralFormat.Text($"{_omitted:N0} more {_omitted:issue is|issues are} not listed."), IssueSeverity.Remark));
        }
    }

    // An array, because PowerShell cannot index the type that a collection expression creates for an IReadOnlyList.
    public LineIssue[] ByLine() => [.. _issues.OrderBy(issue => issue.Line ?? 0)];
}
