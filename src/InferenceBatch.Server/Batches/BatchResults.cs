using InferenceBatch.Model;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Batches;

/// <summary>The results of a batch at its end.</summary>
/// <param name="Files">Its result files that are not empty.</param>
/// <param name="Counts">The counts of its lines.</param>
/// <param name="Usage">The sum of the usage that the upstream reported; null if it reported none.</param>
internal sealed record BatchResults(IReadOnlyList<FileRecord> Files, RequestCounts Counts, TokenUsage? Usage);
