namespace InferenceBatch.Bench;

/// <summary>The counts of a <see cref="FaultyUpstream"/> since its start.</summary>
internal sealed record UpstreamTally
{
    /// <summary>The capacity of the token bucket of a quota.</summary>
    public const int Burst = 10;

    public long Requests { get; init; }

    public long Answered { get; init; }

    /// <summary>Requests answered with 429.</summary>
    public long Limited { get; init; }

    /// <summary>Requests answered with 500.</summary>
    public long Failed { get; init; }

    /// <summary>Lines that were answered with 500.</summary>
    public int FailingLines { get; init; }

    /// <summary>Requests that the caller cancelled before the answer.</summary>
    public long CutOff { get; init; }

    /// <summary>Requests that are not answered yet, including those in the queue.</summary>
    public int InFlight { get; init; }

    /// <summary>The integral of <see cref="InFlight"/> over time: two tallies give the mean between them.</summary>
    public double InFlightSeconds { get; init; }

    /// <summary>The total time of successful answers, without the wait for a slot.</summary>
    public double AnswerSeconds { get; init; }

    /// <summary>Seconds since the start.</summary>
    public double Seconds { get; init; }
}
