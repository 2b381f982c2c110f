using InferenceBatch.Model;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Batches;

/// <summary>What a batch ends with.</summary>
/// <param name="Files">Its result files that hold something.</param>
/// <param name="Counts">Its lines.</param>
/// <param name="Usage">The sum of what the upstream reported; null where it reported nothing.</param>
internal sealed record BatchResults(IReadOnlyList<FileRecord> Files, RequestCounts Counts, TokenUsage? Usage);
