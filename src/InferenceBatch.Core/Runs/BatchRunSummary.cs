using System.Globalization;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

/// <summary>The summary of a whole run.</summary>
public sealed class BatchRunSummary
{
    /// <summary>The number of input rows.</summary>
    public required long Rows { get; init; }

    /// <summary>The number of rows that were not valid requests or had a duplicate ID. Each was reported as an error.</summary>
    public required long LeftOut { get; init; }

    /// <summary>The number of requests sent for the rows. Smaller than the number of rows if equal requests were sent once.</summary>
    public required long Requests { get; init; }

    /// <summary>The counts of the results. Tokens and cost are those of the requests sent.</summary>
    public required BatchResultMeasure Results { get; init; }

    /// <summary>The number of rows without a result: the wait for their batch ended early, or its results could not be read.</summary>
    public long Unanswered => Rows - LeftOut - Results.Count;

    /// <summary>The batches of the run, including those of an earlier process.</summary>
    public required IReadOnlyList<string> BatchIds { get; init; }

    /// <summary>The number of batches that this process created. An earlier process created the others.</summary>
    public required int BatchesCreated { get; init; }

    /// <summary>
    /// The number of rounds of the run, including those of an earlier process. The first round sends all requests, and each
    /// later round sends the retries.
    /// </summary>
    public required int Rounds { get; init; }

    /// <summary>How often a local service retried lines of these batches, by reason; null if the service does not tell.</summary>
    public RetryCounts? Retries { get; init; }

    /// <summary>Whether the run stopped early because too many requests failed.</summary>
    public bool IsStopped { get; init; }

    /// <summary>The time from the start of the command to its end.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>The numbers of rows without an answer by reason, such as <c>2 failed, 1 left out</c>; empty if all have an answer.</summary>
    public string WithoutAnswer => string.Join(", ", new (long Count, string What)[]
    {
        (Results.Failed, "failed"), (Results.Expired, "expired"), (Results.Cancelled, "cancelled"),
        (Results.Missing, "missing"), (LeftOut, "left out"), (Unanswered, "still open"),
    }.Where(reason => reason.Count > 0).Select(reason => string.Create(CultureInfo.InvariantCulture, $"{reason.Count:N0} {reason.What}")));

    /// <summary>Returns the summary on one line, for a log.</summary>
    public override string ToString() =>
        PluralFormat.Invariant($"{Results.Succeeded:N0} of {Rows:N0} {Rows:row|rows} succeeded{Failed()}; {BatchIds.Count:N0} {BatchIds.Count:batch|batches}, {Elapsed.TotalSeconds:N0} s; {Results.InputTokens ?? 0:N0} {Results.InputTokens ?? 0:token|tokens} in, {Results.OutputTokens ?? 0:N0} out")
        + (Results.Cost is { } cost ? string.Create(CultureInfo.InvariantCulture, $"; cost {cost:0.####}") : "");

    private string Failed()
    {
        const int CodesShown = 5;
        string codes = string.Join(", ", Results.Failures.Take(CodesShown).Select(failure => string.Create(CultureInfo.InvariantCulture, $"{failure.Count:N0} × {failure.Reason}")));
        return (IsStopped ? ", stopped early" : "") + (WithoutAnswer.Length > 0 ? ", " + WithoutAnswer : "")
            + (codes.Length > 0 ? $" ({codes}{(Results.Failures.Count > CodesShown ? ", …" : "")})" : "")
            + (Retries is { Total: > 0 } ? $"; {Retries}" : "")
            + (Results.ValueErrors > 0 ? string.Create(CultureInfo.InvariantCulture, $"; {Results.ValueErrors:N0} not the JSON asked for") : "");
    }
}
