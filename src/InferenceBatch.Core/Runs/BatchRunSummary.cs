using System.Globalization;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>What a whole run came to.</summary>
public sealed class BatchRunSummary
{
    /// <summary>Rows that came in and were taken.</summary>
    public required long Rows { get; init; }

    /// <summary>Requests sent for them; fewer where equal ones were sent once.</summary>
    public required long Requests { get; init; }

    /// <summary>What the results add up to; tokens and cost are those of the requests sent.</summary>
    public required BatchResultMeasure Results { get; init; }

    /// <summary>Rows without a result: their batch was not waited for to its end, or what it answered could not be read.</summary>
    public long Unanswered => Rows - Results.Count;

    /// <summary>The batches of the run, those of an earlier process included.</summary>
    public required IReadOnlyList<string> BatchIds { get; init; }

    /// <summary>How many of them were created now; the others an earlier process had created.</summary>
    public required int BatchesCreated { get; init; }

    /// <summary>How often requests were sent: 1 where none had to be sent again.</summary>
    public required int Attempts { get; init; }

    /// <summary>From the command's start to its end.</summary>
    public required TimeSpan Elapsed { get; init; }

    public override string ToString() =>
        PluralFormat.Invariant($"{Results.Succeeded:N0} of {Rows:N0} {Rows:row|rows} succeeded; {BatchIds.Count:N0} {BatchIds.Count:batch|batches}, {Elapsed.TotalSeconds:N0} s; {Results.InputTokens ?? 0:N0} {Results.InputTokens ?? 0:token|tokens} in, {Results.OutputTokens ?? 0:N0} out")
        + (Results.Cost is { } cost ? string.Create(CultureInfo.InvariantCulture, $"; cost {cost:0.####}") : "");
}
