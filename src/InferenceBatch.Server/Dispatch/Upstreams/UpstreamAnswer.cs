namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>An upstream's answer. Dispose it to give its body's memory back.</summary>
/// <param name="place">Disposed with the answer; what it took up where few have room.</param>
internal sealed class UpstreamAnswer(int statusCode, byte[] pooledBody, int length, IDisposable? place = null) : IDisposable
{
    private byte[]? _pooled = pooledBody;

    public int StatusCode { get; } = statusCode;

    /// <summary>The answer's own request id; null where it has none that can stand in a line.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long the upstream asks to wait (<c>retry-after-ms</c>, <c>retry-after</c>); null where it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The upstream's own word on trying again (<c>x-should-retry</c>); null where it has none.</summary>
    public bool? ShouldRetry { get; init; }

    public bool IsSuccess => StatusCode is >= 200 and < 300;

    public ReadOnlySpan<byte> Body => (_pooled ?? throw new ObjectDisposedException(nameof(UpstreamAnswer))).AsSpan(0, length);

    public void Dispose()
    {
        if (_pooled is { Length: > 0 } pooled)
        {
            LargeAnswers.Return(pooled);
        }

        _pooled = null;
        place?.Dispose();
    }
}
