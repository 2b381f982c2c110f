using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>Gets a batch that has ended again, because services may name its files later than they report its end.</summary>
public static class BatchRefresh
{
    /// <summary>Whether a batch that has ended does not name every result file that it should have according to its counts.</summary>
    public static bool IsNeeded(Batch batch) =>
        (batch.OutputFileId is null && (batch.RequestCounts.Completed > 0 || (batch.ErrorFileId is null && batch.Status != BatchStatus.Failed)))
        || (batch.ErrorFileId is null && batch.RequestCounts.Failed > 0);

    /// <summary>Returns the current state of the batch; the known state if the service does not respond, or reports that the batch has not ended.</summary>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>.</exception>
    public static async Task<Batch> RefreshAsync(BatchClient client, Batch known, CancellationToken cancellationToken = default)
    {
        try
        {
            Batch current = await client.GetBatchAsync(known.Id, RetryPolicy.Once, cancellationToken).ConfigureAwait(false);
            return current.IsFinished ? current : known;
        }
        catch (ServiceException exception) when (exception.Kind != ServiceErrorKind.Unauthorized)
        {
            return known;
        }
    }
}
