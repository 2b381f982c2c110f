namespace InferenceBatch.Http;

/// <summary>Which errors of a service stop retries, and which mean that its queue is full.</summary>
public sealed class RetryRulesTests
{
    [Theory]
    [InlineData("insufficient_quota")]
    [InlineData("InsufficientQuota")]
    [InlineData("billing_hard_limit_reached")]
    [InlineData("invalid_api_key")]
    [InlineData("model_not_found")]
    [InlineData("permission_denied")]
    [InlineData("DeploymentNotFound")]
    [InlineData("authentication_error")]
    public void An_error_that_the_user_must_fix_is_final(string code)
    {
        Assert.True(RetryRules.IsFinal(code));
        Assert.False(RetryRules.IsQueueFull(code, "Enqueued token limit reached"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("rate_limit_exceeded")]
    [InlineData("server_error")]
    [InlineData("quotaExceeded")]
    [InlineData("429")]
    public void A_temporary_error_is_not_final(string? code) => Assert.False(RetryRules.IsFinal(code));

    [Theory]
    [InlineData("token_limit_exceeded", "")]
    [InlineData("TooManyBatches", "")]
    [InlineData("file-limit-reached", "")]
    [InlineData("error", "Enqueued token limit reached for gpt-4o-mini in organization org-x. Limit: 2,000,000 enqueued tokens. Please try again once some in_progress batches have been completed.")]
    [InlineData("429", "The number of enqueued tokens has surpassed the configured limit of 30K for the deployment 'gpt-4.1-batch'.")]
    [InlineData("BadRequest", "You have too many active batches; wait for one to finish.")]
    [InlineData("quotaExceeded", "This resource has reached the maximum number of batch input files.")]
    [InlineData("rate_limit_exceeded", "Batch limit of your tier reached.")]
    [InlineData("error", "The batch queue is full, try again later.")]
    public void A_full_queue_is_recognized(string code, string message) => Assert.True(RetryRules.IsQueueFull(code, message));

    [Theory]
    [InlineData("rate_limit_exceeded", "Rate limit reached for requests")]
    [InlineData("invalid_request_error", "The file exceeds the maximum number of requests per batch (50000).")]
    [InlineData("file_too_large", "File size limit exceeded: 200 MB.")]
    [InlineData("context_length_exceeded", "This model's maximum context length is 8192 tokens.")]
    [InlineData("invalid_request_error", "Too many requests in the batch file: 60000.")]
    [InlineData("invalid_request_error", null)]
    [InlineData(null, null)]
    public void An_error_that_waiting_does_not_fix_is_not_a_full_queue(string? code, string? message) => Assert.False(RetryRules.IsQueueFull(code, message));

    [Fact]
    public void The_maximum_back_off_can_be_longer()
    {
        Assert.InRange(RetryRules.Backoff(30), TimeSpan.FromSeconds(6), TimeSpan.FromSeconds(8));
        Assert.InRange(RetryRules.Backoff(30, TimeSpan.FromMinutes(1)), TimeSpan.FromSeconds(45), TimeSpan.FromSeconds(60));
        Assert.InRange(RetryRules.Backoff(1, TimeSpan.FromMinutes(1)), TimeSpan.FromSeconds(0.375), TimeSpan.FromSeconds(0.5));
    }

    /// <summary>The wait is limited to one hour. Some servers send a time in place of seconds.</summary>
    [Theory]
    [InlineData(null, "7", 7.0)]
    [InlineData("1500", "7", 1.5)]
    [InlineData(null, "99999999", 3600.0)]
    [InlineData(null, "1e300", 3600.0)]
    [InlineData("1e300", null, 3600.0)]
    [InlineData(null, "1767225602", 2.0)]
    [InlineData(null, "1767225598", null)]
    [InlineData(null, "Thu, 01 Jan 2026 00:00:05 GMT", 5.0)]
    [InlineData(null, "Tue, 01 Dec 2099 00:00:00 GMT", 3600.0)]
    [InlineData(null, "-1", null)]
    [InlineData(null, "NaN", null)]
    [InlineData(null, "soon", null)]
    public void Reads_how_long_a_server_asks_to_wait(string? milliseconds, string? retryAfter, double? seconds) => Assert.Equal(
        seconds, RetryRules.ReadRetryAfter(milliseconds, retryAfter, new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero))?.TotalSeconds);
}
