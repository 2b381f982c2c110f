namespace InferenceBatch.Server.Execution;

/// <summary>How one attempt at a line ended; the default is that of a line that was given up.</summary>
/// <param name="Attempts">Attempts at the line so far, as far as they count.</param>
/// <param name="WaitToTryAgain">After how long the line is sent again; null when it is done, or given up.</param>
internal readonly record struct LineEnd(int Attempts, TimeSpan? WaitToTryAgain)
{
    /// <summary>Whether the upstream was asked.</summary>
    public bool WasSent { get; init; }

    /// <summary>Whether the upstream has too much to do.</summary>
    public bool WasStrained { get; init; }

    /// <summary>Why there was no connection, or how it broke; null where it held.</summary>
    public string? Fault { get; init; }
}
