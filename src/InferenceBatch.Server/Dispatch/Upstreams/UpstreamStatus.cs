namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>The status of an upstream at one moment.</summary>
/// <param name="State">Its state.</param>
/// <param name="Since">When the state began.</param>
/// <param name="IsHeld">Whether lines wait and only probes are sent.</param>
/// <param name="Message">A message for the user; empty while it is up. Contains nothing of a request or a key.</param>
internal sealed record UpstreamStatus(UpstreamState State, DateTimeOffset Since, bool IsHeld, string Message);
