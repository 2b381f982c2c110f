namespace InferenceBatch.Runs;

/// <summary>One input row of a run.</summary>
/// <param name="CustomId">Its own id where another row's request stands for it; null where the request is its own.</param>
/// <param name="InputObject">The object it was made from.</param>
/// <param name="Place">The place of its request among those sent.</param>
internal readonly record struct RunRow(string? CustomId, object? InputObject, int Place);
