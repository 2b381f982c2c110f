using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// Waits until the status of an uploaded file is <c>processed</c>. Azure OpenAI requires this before a batch is created from
/// the file. Polls at intervals of 1, 1.5, 2.25 … 30 seconds, for 15 minutes.
/// </summary>
internal sealed class FileProcessing(BatchClient client)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_timeout = TimeSpan.FromMinutes(15);

    /// <exception cref="ServiceException">
    /// <see cref="ServiceErrorKind.ServiceRejected"/>: the service could not process the file, or has deleted it. The error code is the status of the file.
    /// <see cref="ServiceErrorKind.ServiceUnavailable"/>: the file was not processed in time.
    /// </exception>
    public async Task WaitAsync(string fileId, CancellationToken cancellationToken)
    {
        TimeSpan wait = s_firstWait;
        for (TimeSpan waited = TimeSpan.Zero; ; waited += wait, wait = wait * 1.5 < s_longestWait ? wait * 1.5 : s_longestWait)
        {
            BatchFile file = await client.GetFileAsync(fileId, cancellationToken).ConfigureAwait(false);
            switch (file.Status?.ToUpperInvariant())
            {
                case null or "PROCESSED":
                    return;
                case "ERROR" or "FAILED" or "DELETING" or "DELETED" or "EXPIRED":
                    string text = Messages.Text("ServiceRejected.Unprocessed", fileId, file.Status);
                    throw new ServiceException(ServiceErrorKind.ServiceRejected, text) { Error = new ServiceError(file.Status, text) };
            }

            if (waited + wait > s_timeout)
            {
                throw new ServiceException(
                    ServiceErrorKind.ServiceUnavailable,
                    Messages.Text("ServiceUnavailable.StillProcessing", fileId, file.Status, waited.TotalMinutes))
                {
                    NeverSent = true,
                };
            }

            await Task.Delay(wait, client.Time, cancellationToken).ConfigureAwait(false);
        }
    }
}
