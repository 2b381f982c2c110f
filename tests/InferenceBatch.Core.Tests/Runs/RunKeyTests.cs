using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>A refused key ends the run. Available results are returned first, and the checkpoint can be resumed.</summary>
public sealed class RunKeyTests : IDisposable
{
    private readonly RunBench _bench = new();

    private BatchService Service => _bench.Service;

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData(401, "POST /v1/files", ServiceErrorKind.Unauthorized)]
    [InlineData(403, "POST /v1/files", ServiceErrorKind.PermissionDenied)]
    [InlineData(401, "POST /v1/batches", ServiceErrorKind.Unauthorized)]
    [InlineData(403, "POST /v1/batches", ServiceErrorKind.PermissionDenied)]
    [InlineData(401, "GET /v1/batches/batch-1", ServiceErrorKind.Unauthorized)]
    [InlineData(401, "GET /v1/files/out-batch-2/content", ServiceErrorKind.Unauthorized)]
    [InlineData(401, "everything", ServiceErrorKind.Unauthorized)]
    public async Task A_refused_key_ends_the_run_and_a_valid_key_resumes_it(int status, string route, ServiceErrorKind kind)
    {
        Service.OnCall = exchange => route == "everything" || route == $"{exchange.Method} {exchange.Path}" ? BatchService.Error(status, "invalid_api_key") : null;
        var given = new List<BatchResult>();
        ServiceException problem = await Assert.ThrowsAsync<ServiceException>(() => _bench.RunIntoAsync(given));
        Assert.Equal(kind, problem.Kind);
        Assert.All(given, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Empty(_bench.Seen.Problems);
        Assert.Single(Service.Server.Requests, exchange => route == "everything" || route == $"{exchange.Method} {exchange.Path}");

        Service.OnCall = _ => null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal((3, 3), (Service.Uploads, Service.Creates));
        Assert.All(Service.Billed.Values, times => Assert.Equal(1, times));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_key_that_expires_during_the_run_loses_no_available_result(bool ordered)
    {
        // The first two parts have results. The third was never sent.
        Service.OnCall = exchange => exchange is { Method: "POST", Path: "/v1/files" } && Service.Uploads == 2 ? BatchService.Error(400, "c") : null;
        await _bench.RunAsync();
        Service.OnCall = _ => BatchService.Error(401, "invalid_api_key");
        var given = new List<BatchResult>();
        ServiceException problem = await Assert.ThrowsAsync<ServiceException>(() => _bench.RunIntoAsync(given, new RunOptions { Ordered = ordered }));
        Assert.Equal(ServiceErrorKind.Unauthorized, problem.Kind);
        Assert.Equal(["r1", "r2", "r3", "r4"], given.Select(result => result.CustomId));
    }

    [Fact]
    public async Task Available_results_of_a_later_attempt_are_returned_too()
    {
        Service.AnswerOf = (times, id) => id == "r1" && times == 1 ? BatchService.Failed(id, 500) : BatchService.Good(id);
        Service.OnCall = exchange => exchange is { Method: "POST", Path: "/v1/files" } && exchange.BodyText.Contains("\"r5\"", StringComparison.Ordinal) ? BatchService.Error(400, "c") : null;
        await _bench.RunAsync();
        Service.OnCall = _ => BatchService.Error(401, "invalid_api_key");
        var given = new List<BatchResult>();
        await Assert.ThrowsAsync<ServiceException>(() => _bench.RunIntoAsync(given));
        Assert.Equal(["r1", "r2", "r3", "r4"], given.Select(result => result.CustomId).Order());
        Assert.All(given, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
    }

    /// <summary>The response to a create is lost, and the key expires before the lookup. The next key finds the batch.</summary>
    [Fact]
    public async Task A_key_that_expires_during_a_lookup_does_not_lose_the_batch()
    {
        Service.AfterCreate = _ => Answer.Drop;
        Service.OnCall = exchange => exchange.Method == "GET" ? BatchService.Error(401, "invalid_api_key") : null;
        ServiceException problem = await Assert.ThrowsAsync<ServiceException>(() => _bench.RunIntoAsync([]));
        Assert.Equal(ServiceErrorKind.Unauthorized, problem.Kind);
        Assert.Contains("file-1", problem.Message, StringComparison.Ordinal);
        (Service.AfterCreate, Service.OnCall) = (answer => answer, _ => null);
        await _bench.RunAsync();
        Assert.Equal(3, Service.Creates);
    }
}
