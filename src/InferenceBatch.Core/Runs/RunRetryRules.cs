using InferenceBatch.Http;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;

namespace InferenceBatch.Runs;

/// <summary>Which results of a run are worth a retry, and the error codes that a run itself sets.</summary>
public static class RunRetryRules
{
    /// <summary>The error code of requests that were not sent. The same run sends them when it is started again.</summary>
    public const string NotSentCode = "not_sent";

    /// <summary>The error code of requests whose batch the service no longer knows.</summary>
    internal const string BatchGoneCode = "batch_not_found";

    /// <summary>Whether a retry may return a better result without a change by the user.</summary>
    public static bool IsWorthRetrying(BatchResult result) => result switch
    {
        { Status: ResultStatus.Expired } => true,
        { Status: ResultStatus.Missing } => !MayHaveBeenBilled(result),
        { Status: not ResultStatus.Failed } => false,
        _ when RetryRules.IsFinal(result.Error?.Code) => false,
        { JudgedStatus: { } status } when status == 0 || RetryRules.IsTransient(status) => true,
        _ => result.Error?.Code is "inference_failed" or "request_timeout" or "no_response" or AnswerProblem.NoAnswerCode,
    };

    /// <summary>Whether a request without a result may have been answered and billed.</summary>
    public static bool MayHaveBeenBilled(BatchResult result) => result.Error?.Code is BatchGoneCode or ResultJoiner.UnavailableCode;
}
