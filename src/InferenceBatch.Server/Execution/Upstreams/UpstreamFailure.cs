namespace InferenceBatch.Server.Execution.Upstreams;

/// <summary>What is wrong with an upstream just now.</summary>
/// <param name="Since">When it was first noticed; since then nothing went well.</param>
/// <param name="Reason">The last that was noticed; nothing of a request or a key.</param>
internal sealed record UpstreamFailure(DateTimeOffset Since, string Reason);
