using System.Globalization;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Runs;
using InferenceBatch.Wire;

namespace InferenceBatch.Views;

/// <summary>The summary of a run as a few lines of text.</summary>
public static class SummaryText
{
    private const int FailuresShown = 5;
    private const int LongestCode = 30;
    private const int LongestMessage = 100;

    /// <summary>Returns the lines, of at most 120 columns.</summary>
    public static IEnumerable<string> Lines(BatchRunSummary summary)
    {
        BatchResultMeasure results = summary.Results;
        string succeeded = Text($"{results.Succeeded:N0} succeeded");
        string noJson = results.ValueErrors > 0 ? Text($"{results.ValueErrors:N0} not the JSON asked for") : "";
        yield return Text($"{summary.Rows:N0} {summary.Rows:row|rows}: ") + string.Join(", ", new[] { succeeded, summary.WithoutAnswer, noJson }.Where(part => part.Length > 0));
        foreach (FailureCount failure in results.Failures.Take(FailuresShown))
        {
            yield return Text($"  {failure.Count:N0} × {PlainText.OneLine(new ServiceError(PlainText.OneLine(failure.Code, LongestCode), failure.Message).ToString(failure.StatusCode), LongestMessage)}");
        }

        if (results.Failures.Count > FailuresShown)
        {
            yield return $"  {ViewText.Plural(results.Failures.Count - FailuresShown, "more code")}: Measure-BatchResult lists them";
        }

        if (summary.IsStopped)
        {
            yield return "Stopped early: -MaxFailed was reached.";
        }

        if (summary.BatchIds.Count == 0)
        {
            yield return "Nothing was sent.";
            yield break;
        }

        yield return Text($"{summary.Requests:N0} {summary.Requests:request|requests}, ")
            + Text($"{summary.BatchIds.Count:N0} {summary.BatchIds.Count:batch|batches}, {ViewText.Plural(summary.Rounds, "round")}, {Time(summary.Elapsed)}{(summary.BatchesCreated == 0 ? "; all from an earlier start, nothing was sent now" : "")}");
        if (summary.Retries is { Total: > 0 } retries)
        {
            yield return $"Retries by the service: {retries}";
        }

        if (results.TotalTokens is not null)
        {
            string cost = results.Cost is { } known ? Text($"; cost {known:0.####}") : "";
            yield return Text($"{results.InputTokens ?? 0:N0} {results.InputTokens ?? 0:token|tokens} in, {results.OutputTokens ?? 0:N0} out{cost}");
        }
    }

    private static string Time(TimeSpan time) =>
        time.ToString(time.TotalDays >= 1 ? @"d\.hh\:mm\:ss" : time.TotalMinutes >= 1 ? @"hh\:mm\:ss" : @"s\.f\ \s", CultureInfo.InvariantCulture);

    private static string Text(FormattableString text) => PluralFormat.Invariant(text);
}
