using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>What came of fetching a part's results. All that can be read is on disk in any case.</summary>
/// <param name="Wait">The service may show more of them soon: how long to wait before the next try. Null when this was the last.</param>
/// <param name="Problem">Why results that the batch may hold cannot be read; null when all are on disk.</param>
internal readonly record struct FetchOutcome(TimeSpan? Wait, ServiceException? Problem);
