using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>The issues of one validation: all are counted, those of single lines are listed up to a limit.</summary>
internal sealed class IssueList(int maxOfLines)
{
    private readonly List<LineIssue> _issues = [];
    private int _leftOut;
    private bool _linesEnded;

    public int ErrorCount { get; private set; }

    public void Add(LineIssue issue)
    {
        if (issue.Severity == IssueSeverity.Error)
        {
            ErrorCount++;
        }

        if (_linesEnded || _issues.Count < maxOfLines)
        {
            _issues.Add(issue);
        }
        else
        {
            _leftOut++;
        }
    }

    /// <summary>Says how many were left out; what is added from here on speaks of the whole file and is listed always.</summary>
    public void EndLines(int lastLine)
    {
        _linesEnded = true;
        if (_leftOut > 0)
        {
            Add(new LineIssue(lastLine, null, IssueCodes.MoreIssues, PluralFormat.Text($"{_leftOut:N0} more {_leftOut:issue is|issues are} not listed."), IssueSeverity.Remark));
        }
    }

    // An array, for PowerShell cannot index what a collection expression makes of an IReadOnlyList.
    public LineIssue[] ByLine() => [.. _issues.OrderBy(issue => issue.Line ?? 0)];
}
