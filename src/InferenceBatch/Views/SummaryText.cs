using System.Globalization;
using InferenceBatch.Runs;

namespace InferenceBatch.Views;

/// <summary>What a run came to, in a few lines for a person.</summary>
public static class SummaryText
{
    private const int FailuresShown = 5;
    private const int LongestMessage = 100;

    /// <summary>The lines, none longer than a window of 120 columns.</summary>
    public static IEnumerable<string> Lines(BatchRunSummary summary)
    {
        BatchResultMeasure results = summary.Results;
        (long Count, string What)[] outcomes =
        [
            (results.Succeeded, "succeeded"), (results.Failed, "failed"), (results.Expired, "expired"), (results.Cancelled, "cancelled"),
            (results.Missing, "missing"), (summary.Unanswered, "without a result"), (results.ValueErrors, "not the JSON asked for"),
        ];
        yield return Text($"{summary.Rows:N0} {(summary.Rows == 1 ? "row" : "rows")}: ")
            + string.Join(", ", outcomes.Where((outcome, index) => index == 0 || outcome.Count > 0).Select(outcome => Text($"{outcome.Count:N0} {outcome.What}")));
        foreach (FailureCount failure in results.Failures.Take(FailuresShown))
        {
            yield return Text($"  {failure.Count:N0} × {ViewText.OneLine(failure.Code, 30)}: {ViewText.OneLine(failure.Message, LongestMessage)}");
        }

        if (results.Failures.Count > FailuresShown)
        {
            yield return $"  {ViewText.Plural(results.Failures.Count - FailuresShown, "more code")}: Measure-BatchResult lists them";
        }

        yield return Text($"{summary.Requests:N0} {(summary.Requests == 1 ? "request" : "requests")}, ")
            + Text($"{summary.BatchIds.Count:N0} {(summary.BatchIds.Count == 1 ? "batch" : "batches")}, {ViewText.Plural(summary.Attempts, "attempt")}, {Time(summary.Elapsed)}");
        if (results.TotalTokens is not null)
        {
            string cost = results.Cost is { } known ? Text($"; cost {known:0.####}") : "";
            yield return Text($"{results.InputTokens ?? 0:N0} tokens in, {results.OutputTokens ?? 0:N0} out{cost}");
        }
    }

    private static string Time(TimeSpan time) =>
        time.ToString(time.TotalDays >= 1 ? @"d\.hh\:mm\:ss" : time.TotalMinutes >= 1 ? @"hh\:mm\:ss" : @"s\.f\ \s", CultureInfo.InvariantCulture);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
