using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>Asks again for a batch that has ended, because services name its files later than they call it ended.</summary>
public static class BatchRefresh
{
    /// <summary>Whether a batch that has ended does not name each result file that its counts call for.</summary>
    public static bool IsNeeded(Batch batch) =>
        (batch.OutputFileId is null && (batch.RequestCounts.Completed > 0 || (batch.ErrorFileId is null && batch.Status != BatchStatus.Failed)))
        || (batch.ErrorFileId is null && batch.RequestCounts.Failed > 0);

    /// <summary>Gives the batch as the service describes it now; as it was known where the service does not answer, or calls it open again.</summary>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>.</exception>
    public static async Task<Batch> RefreshAsync(BatchClient client, Batch known, CancellationToken cancellationToken = default)
    {
        try
        {
            Batch news = await client.GetBatchAsync(known.Id, RetryPolicy.Once, cancellationToken).ConfigureAwait(false);
            return news.IsFinished ? news : known;
        }
        catch (ServiceException exception) when (exception.Kind != ServiceErrorKind.Unauthorized)
        {
            return known;
        }
    }
}
