namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>What answers the lines of batches.</summary>
internal interface IUpstream : IDisposable
{
    /// <summary>Sends one request.</summary>
    /// <param name="endpoint">The batch's endpoint, such as <c>/v1/chat/completions</c>.</param>
    /// <param name="body">The request's body, UTF-8 JSON; must stay as it is until the task ends.</param>
    /// <exception cref="UpstreamException">There was no whole answer.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    Task<UpstreamAnswer> SendAsync(string endpoint, ReadOnlyMemory<byte> body, CancellationToken cancellationToken);

    /// <summary>The list of models, as the API's JSON.</summary>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <param name="withKey">False asks without the key, to learn whether the list is public.</param>
    /// <inheritdoc cref="SendAsync"/>
    Task<UpstreamAnswer> ListModelsAsync(CancellationToken cancellationToken, bool withKey = true);
}
