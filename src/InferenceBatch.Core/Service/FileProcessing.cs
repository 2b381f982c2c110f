using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// Waits for an uploaded file to become <c>processed</c>, which Azure OpenAI asks for before a batch is created from it.
/// Looks after 0, 1, 1.5, 2.25 … 30 seconds, for a quarter of an hour.
/// </summary>
internal sealed class FileProcessing(BatchClient client)
{
    private static readonly TimeSpan s_firstWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(15);

    /// <exception cref="ServiceException">
    /// <see cref="ServiceErrorKind.ServiceRejected"/>: the service could not process it, or has deleted it; the error's code is the file's status;
    /// <see cref="ServiceErrorKind.ServiceUnavailable"/>: it did not within the time.
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

            if (waited + wait > s_patience)
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
