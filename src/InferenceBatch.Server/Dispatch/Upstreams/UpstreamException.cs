namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>The upstream gave no whole answer; <see cref="Exception.Message"/> says why, and holds nothing of the request.</summary>
internal sealed class UpstreamException(UpstreamFault fault, string message, Exception? inner = null) : Exception(message, inner)
{
    public UpstreamFault Fault { get; } = fault;
}
