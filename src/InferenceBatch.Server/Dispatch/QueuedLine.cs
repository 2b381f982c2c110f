using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Dispatch;

/// <summary>A line that <see cref="RunQueue"/> hands out to be sent.</summary>
/// <param name="Index">Its index among the requests of the input file.</param>
/// <param name="History">Its earlier attempts.</param>
internal readonly record struct QueuedLine(int Index, LineHistory History);
