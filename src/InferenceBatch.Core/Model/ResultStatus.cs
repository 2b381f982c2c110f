namespace InferenceBatch.Model;

/// <summary>What became of one request.</summary>
public enum ResultStatus
{
    /// <summary>Answered with a 2xx status.</summary>
    Succeeded,

    /// <summary>Answered with another status, or given up by the service; see <see cref="BatchResult.Error"/>.</summary>
    Failed,

    /// <summary>Not executed before the completion window ended (code <c>batch_expired</c>).</summary>
    Expired,

    /// <summary>Not executed because the batch was cancelled (code <c>batch_cancelled</c>).</summary>
    Cancelled,

    /// <summary>Asked for, but in no file that came back.</summary>
    Missing,
}
