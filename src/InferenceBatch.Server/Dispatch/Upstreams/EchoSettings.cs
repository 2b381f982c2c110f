namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>How the <c>echo</c> model behaves.</summary>
/// <param name="Latency">How long a response takes.</param>
/// <param name="Fail">The share of requests that fail, from 0 to 1.</param>
/// <param name="Seed">The seed of the random numbers.</param>
internal sealed record EchoSettings(TimeSpan Latency, double Fail, int Seed);
