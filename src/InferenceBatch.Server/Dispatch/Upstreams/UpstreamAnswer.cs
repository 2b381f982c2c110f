namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>The response of an upstream. Dispose it to return the memory of its body.</summary>
/// <param name="place">The place among the <see cref="LargeAnswers"/>; disposed with the response.</param>
internal sealed class UpstreamAnswer(int statusCode, byte[] pooledBody, int length, IDisposable? place = null) : IDisposable
{
    private byte[]? _pooled = pooledBody;

    public int StatusCode { get; } = statusCode;

    /// <summary>The request ID of the response; null if it has none, or one that a result line cannot contain.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long the upstream requests to wait (<c>retry-after-ms</c>, <c>retry-after</c>); null if it does not.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the upstream requests a retry (<c>x-should-retry</c>); null if it does not say.</summary>
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
