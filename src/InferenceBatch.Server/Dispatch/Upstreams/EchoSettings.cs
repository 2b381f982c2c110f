namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>How the <c>echo</c> model behaves.</summary>
/// <param name="Latency">How long an answer takes.</param>
/// <param name="Fail">The share of requests that fail, 0 to 1.</param>
/// <param name="Seed">Where the dice start.</param>
internal sealed record EchoSettings(TimeSpan Latency, double Fail, int Seed);
