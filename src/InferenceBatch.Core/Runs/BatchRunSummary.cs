using System.Globalization;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Wire;

namespace InferenceBatch.Runs;

/// <summary>What a whole run came to.</summary>
public sealed class BatchRunSummary
{
    /// <summary>Rows that came in.</summary>
    public required long Rows { get; init; }

    /// <summary>Those of them that were no requests, or had the name of another: each was an error.</summary>
    public required long LeftOut { get; init; }

    /// <summary>Requests sent for them; fewer where equal ones were sent once.</summary>
    public required long Requests { get; init; }

    /// <summary>What the results add up to; tokens and cost are those of the requests sent.</summary>
    public required BatchResultMeasure Results { get; init; }

    /// <summary>Rows without a result: their batch was not waited for to its end, or what it answered could not be read.</summary>
    public long Unanswered => Rows - LeftOut - Results.Count;

    /// <summary>The batches of the run, those of an earlier process included.</summary>
    public required IReadOnlyList<string> BatchIds { get; init; }

    /// <summary>How many of them were created now; the others an earlier process had created.</summary>
    public required int BatchesCreated { get; init; }

    /// <summary>
    /// The rounds of the run, those of an earlier process included: the first sends all requests, each other one those that
    /// are sent again.
    /// </summary>
    public required int Rounds { get; init; }

    /// <summary>How often a local service sent lines of these batches again, by reason; null where the service does not say.</summary>
    public RetryCounts? Retries { get; init; }

    /// <summary>Whether the run stopped early, because as many requests had failed as were allowed.</summary>
    public bool IsStopped { get; init; }

    /// <summary>From the command's start to its end.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>What became of the rows that have no answer, with its numbers: <c>2 failed, 1 left out</c>; empty where all have one.</summary>
    public string WithoutAnswer => string.Join(", ", new (long Count, string What)[]
    {
        (Results.Failed, "failed"), (Results.Expired, "expired"), (Results.Cancelled, "cancelled"),
        (Results.Missing, "missing"), (LeftOut, "left out"), (Unanswered, "still open"),
    }.Where(one => one.Count > 0).Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Count:N0} {one.What}")));

    /// <summary>All of it on one line, for a log.</summary>
    public override string ToString() =>
        PluralFormat.Invariant($"{Results.Succeeded:N0} of {Rows:N0} {Rows:row|rows} succeeded{Failed()}; {BatchIds.Count:N0} {BatchIds.Count:batch|batches}, {Elapsed.TotalSeconds:N0} s; {Results.InputTokens ?? 0:N0} {Results.InputTokens ?? 0:token|tokens} in, {Results.OutputTokens ?? 0:N0} out")
        + (Results.Cost is { } cost ? string.Create(CultureInfo.InvariantCulture, $"; cost {cost:0.####}") : "");

    private string Failed()
    {
        const int CodesShown = 5;
        string codes = string.Join(", ", Results.Failures.Take(CodesShown).Select(failure => string.Create(CultureInfo.InvariantCulture, $"{failure.Count:N0} × {new ServiceError(TextCut.Start(failure.Code, 30), "").CodeWithStatus(failure.StatusCode)}")));
        return (IsStopped ? ", stopped early" : "") + (WithoutAnswer.Length > 0 ? ", " + WithoutAnswer : "")
            + (codes.Length > 0 ? $" ({codes}{(Results.Failures.Count > CodesShown ? ", …" : "")})" : "")
            + (Retries is { Total: > 0 } ? $"; {Retries}" : "")
            + (Results.ValueErrors > 0 ? string.Create(CultureInfo.InvariantCulture, $"; {Results.ValueErrors:N0} not the JSON asked for") : "");
    }
}
