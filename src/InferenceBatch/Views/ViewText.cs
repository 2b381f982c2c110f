using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Views;

/// <summary>Texts for the columns of InferenceBatch.Format.ps1xml, for a window of 80 columns.</summary>
public static class ViewText
{
    private const int BarCells = 4;
    private const int LongestCounts = 11;
    private const int IssuesShown = 10;

    /// <summary>Returns a bar and the percentage of requests that have an answer: <c>██░░  60%</c>.</summary>
    public static string Bar(RequestCounts counts)
    {
        int full = counts.Percent * BarCells / 100;
        return string.Create(CultureInfo.InvariantCulture, $"{new string('█', full)}{new string('░', BarCells - full)}{counts.Percent,4}%");
    }

    /// <summary>
    /// Returns completed, failed and all requests in at most 11 characters: <c>58/2/60</c>. If they do not fit, in thousands or millions,
    /// rounded down.
    /// </summary>
    public static string Counts(RequestCounts counts)
    {
        Func<long, string>[] forms = [count => count.ToString(CultureInfo.InvariantCulture), Short, Shorter];
        return forms.Select(form => $"{form(counts.Completed)}/{form(counts.Failed)}/{form(counts.Total)}").FirstOrDefault(text => text.Length <= LongestCounts)
            ?? $"{Shorter(counts.Done)}/{Shorter(counts.Total)}";
    }

    /// <summary>Returns the age in its largest unit and three characters: <c>12m</c>, <c>3d</c>, <c>2y</c>; empty if not known.</summary>
    public static string Age(DateTimeOffset? time)
    {
        if (time is not { } some)
        {
            return "";
        }

        TimeSpan age = DateTimeOffset.UtcNow - some;
        return age switch
        {
            { Ticks: < 0 } => "0s",
            { TotalMinutes: < 1 } => $"{age.Seconds}s",
            { TotalHours: < 1 } => $"{age.Minutes}m",
            { TotalDays: < 1 } => $"{age.Hours}h",
            { TotalDays: < 100 } => $"{age.Days}d",
            { TotalDays: < 700 } => $"{age.Days / 7}w",
            _ => $"{age.Days / 365}y",
        };
    }

    /// <summary>Returns a size: <c>1023 B</c>, <c>190.7 MB</c>.</summary>
    public static string Size(long? bytes) => bytes switch
    {
        null => "",
        < 1 << 10 => $"{bytes} B",
        < 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:0.0} KB"),
        < 1 << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.0} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1073741824.0:0.0} GB"),
    };

    /// <summary>
    /// Returns the text of the answer on one line, marked if JSON was requested and it is not JSON; for a result without an answer, the
    /// error.
    /// </summary>
    public static string Answer(BatchResult result, int longest) =>
        PlainText.OneLine(result.Text is { } text ? result.ValueError is null ? text : $"not JSON: {text}" : result.Error?.ToString(result.StatusCode) ?? (result.Status == ResultStatus.Missing ? "not in any result file" : ""), longest);

    /// <summary>Returns the status as the module's word, which -Status accepts; an unknown status as the service's word.</summary>
    public static string Status(Batch batch) => batch.Status == BatchStatus.Unknown ? PlainText.OneLine(batch.RawStatus, 20) : batch.Status.ToString();

    /// <summary>Returns an input object on one line, as PowerShell writes objects and hashtables: <c>@{Id=1; Body=text}</c>.</summary>
    public static string Input(object? input, int longest) => PlainText.OneLine(
        input is IDictionary row ? $"@{{{string.Join("; ", row.Keys.Cast<object>().Select(key => $"{key}={row[key]}"))}}}" : PSObject.AsPSObject(input ?? "").ToString(),
        longest);

    /// <summary>Returns the start of a request's body, without decoding all of a large one.</summary>
    public static string Body(BatchRequest request, int longest)
    {
        ReadOnlySpan<byte> utf8 = request.BodyUtf8.Span;
        return PlainText.OneLine(Encoding.UTF8.GetString(utf8[..Math.Min(utf8.Length, longest * 4)]), longest);
    }

    /// <summary>Returns the lines of a report after the first: the figures, then the first issues, one on each line.</summary>
    public static IEnumerable<string> Report(BatchFileReport report)
    {
        yield return $"  {Plural(report.RequestCount, "request")}, {Size(report.Bytes)}"
            + (report.Endpoint is null ? "" : $", {report.Endpoint}")
            + (report.Models.Count == 0 ? "" : $", {PlainText.OneLine(string.Join(", ", report.Models.Take(3)), 60)}{(report.Models.Count > 3 ? ", …" : "")}");
        foreach (LineIssue issue in report.Issues.OrderByDescending(issue => issue.Severity).Take(IssuesShown))
        {
            string where = issue.Line is { } line ? $"line {line}: " : "";
            yield return $"  {(issue.Severity == IssueSeverity.Error ? "" : issue.Severity.ToString().ToLowerInvariant() + ", ")}{where}{issue.Code}: {PlainText.OneLine(issue.Message, 200)}";
        }

        if (report.Issues.Count > IssuesShown)
        {
            yield return $"  {Plural(report.Issues.Count - IssuesShown, "more issue")}: see Issues";
        }
    }

    /// <summary>Returns a range: <c>1,200 to 3,400</c>, or <c>1,200 or more</c> if the high value is not known.</summary>
    public static string Range(decimal? low, decimal? high, string format) =>
        low is null ? "not known"
        : high is null ? string.Create(CultureInfo.InvariantCulture, $"{low.Value.ToString(format, CultureInfo.InvariantCulture)} or more")
        : string.Create(CultureInfo.InvariantCulture, $"{low.Value.ToString(format, CultureInfo.InvariantCulture)} to {high.Value.ToString(format, CultureInfo.InvariantCulture)}");

    /// <summary>Returns a number with its noun: <c>1 error</c>, <c>50,000 requests</c>.</summary>
    public static string Plural(int count, string noun) =>
        PluralFormat.Invariant($"{count:N0} {noun}{count:|s}");

    /// <summary>Returns a number with thousands separators.</summary>
    public static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Short(long count) => count switch
    {
        < 1000 => count.ToString(CultureInfo.InvariantCulture),
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{count / 1000}k"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{count / 100_000 / 10.0:0.#}M"),
    };

    private static string Shorter(long count) => count switch
    {
        < 100_000 => Short(count),
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $".{count / 100_000}M"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{count / 1_000_000}M"),
    };
}
