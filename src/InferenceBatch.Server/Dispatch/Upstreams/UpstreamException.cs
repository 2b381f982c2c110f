namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>The upstream sent no complete response. <see cref="Exception.Message"/> says why, and contains nothing of the request.</summary>
internal sealed class UpstreamException(UpstreamFault fault, string message, Exception? inner = null) : Exception(message, inner)
{
    public UpstreamFault Fault { get; } = fault;
}
