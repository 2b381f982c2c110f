namespace InferenceBatch.Server.Execution;

/// <summary>How one attempt at a line ended.</summary>
/// <param name="WasStrained">Whether the upstream has too much to do.</param>
/// <param name="WasUnreachable">Whether there was no connection at all, or it broke.</param>
/// <param name="WaitToTryAgain">After how long the line is sent again; null when it is done, or given up.</param>
internal readonly record struct LineEnd(bool WasStrained, bool WasUnreachable, TimeSpan? WaitToTryAgain);
