namespace InferenceBatch.Bench;

/// <summary>What a <see cref="FaultyUpstream"/> has counted since its start.</summary>
internal sealed record UpstreamTally
{
    /// <summary>Tokens that the bucket of a quota holds at most.</summary>
    public const int Burst = 10;

    public long Requests { get; init; }

    public long Answered { get; init; }

    /// <summary>Answered with 429.</summary>
    public long Limited { get; init; }

    /// <summary>Answered with 500.</summary>
    public long Failed { get; init; }

    /// <summary>Lines that it has answered with 500.</summary>
    public int FailingLines { get; init; }

    /// <summary>Given up by the caller before the answer.</summary>
    public long CutOff { get; init; }

    /// <summary>Requests without an answer now, those in the queue included.</summary>
    public int InFlight { get; init; }

    /// <summary>The integral of <see cref="InFlight"/> over time: two tallies give the mean between them.</summary>
    public double InFlightSeconds { get; init; }

    /// <summary>The time good answers took in all, without the wait for a slot.</summary>
    public double AnswerSeconds { get; init; }

    /// <summary>Seconds since the start.</summary>
    public double Seconds { get; init; }
}
