namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What is known of an upstream at one moment.</summary>
/// <param name="State">Its state.</param>
/// <param name="Since">When the state began.</param>
/// <param name="IsHeld">Whether lines wait: nothing but a probe is sent.</param>
/// <param name="Message">What a person should know; empty while it is up. Holds nothing of a request or a key.</param>
internal sealed record UpstreamStatus(UpstreamState State, DateTimeOffset Since, bool IsHeld, string Message);
