namespace InferenceBatch.Model;

/// <summary>The outcome of one request.</summary>
public enum ResultStatus
{
    /// <summary>The response has a 2xx status and contains an answer.</summary>
    Succeeded,

    /// <summary>The response has another status or no answer, or the service gave up; see <see cref="BatchResult.Error"/>.</summary>
    Failed,

    /// <summary>Not executed before the completion window ended (code <c>batch_expired</c>).</summary>
    Expired,

    /// <summary>Not executed because the batch was cancelled (code <c>batch_cancelled</c>).</summary>
    Cancelled,

    /// <summary>Requested, but not in any result file.</summary>
    Missing,
}
