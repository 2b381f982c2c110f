namespace InferenceBatch.Runs;

/// <summary>A part of an attempt, with the places of its requests in the order of its lines.</summary>
/// <param name="Part">The part.</param>
/// <param name="Places">See <see cref="RunRequests"/>.</param>
internal readonly record struct PlacedPart(RunPart Part, IReadOnlyList<int> Places);
