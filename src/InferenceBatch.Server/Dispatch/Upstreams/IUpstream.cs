namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>A service that responds to the lines of batches.</summary>
internal interface IUpstream : IDisposable
{
    /// <summary>Sends one request.</summary>
    /// <param name="endpoint">The batch's endpoint, such as <c>/v1/chat/completions</c>.</param>
    /// <param name="body">The request's body, UTF-8 JSON; must not change until the task ends.</param>
    /// <exception cref="UpstreamException">There was no complete response.</exception>
    /// <exception cref="OperationCanceledException">The request was cancelled.</exception>
    Task<UpstreamAnswer> SendAsync(string endpoint, ReadOnlyMemory<byte> body, CancellationToken cancellationToken);

    /// <summary>Requests the list of models, as JSON of the API.</summary>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <param name="withKey">False sends the request without the key, to learn whether the list is public.</param>
    /// <inheritdoc cref="SendAsync"/>
    Task<UpstreamAnswer> ListModelsAsync(CancellationToken cancellationToken, bool withKey = true);
}
