using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>The service has lost an uploaded file. The part is uploaded again from disk.</summary>
public sealed class RunLostFileTests : IDisposable
{
    private readonly RunBench _bench = new();

    private BatchService Service => _bench.Service;

    public void Dispose() => _bench.Dispose();

    public static TheoryData<int, string> Refusals => new()
    {
        { 400, """{"error":{"code":"file_not_found","message":"No file found with id 'file-1'.","param":"input_file_id"}}""" },
        { 404, """{"error":{"message":"No such File object: file-1"}}""" },
        { 404, """{"error":{"code":"not_found","message":"gone"}}""" },
        { 400, """{"error":{"message":"The input file file-1 has expired.","type":"invalid_request_error"}}""" },
        { 410, """{"error":{"message":"File file-1 was deleted."}}""" },
        { 422, """{"detail":"input file does not exist"}""" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_lost_file_of_an_earlier_process_is_uploaded_again_at_once(int status, string refusal)
    {
        await KillAfterUploadAsync();
        int uploads = Service.Uploads;
        Assert.InRange(uploads, 1, 3);
        Service.OnCall = exchange => exchange is { Method: "POST", Path: "/v1/batches" } && exchange.BodyText.Contains("\"file-1\"", StringComparison.Ordinal) ? Answer.Json(refusal, status) : null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal(4, Service.Uploads);
        Assert.Equal(3, Service.Creates);
        Assert.Empty(_bench.Seen.Problems);
        Assert.DoesNotContain(_bench.Time.Waits, wait => wait > TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_file_that_was_just_uploaded_may_appear_late()
    {
        DateTimeOffset began = _bench.Time.GetUtcNow();
        Service.OnCall = exchange => exchange is { Method: "POST", Path: "/v1/batches" } && _bench.Time.GetUtcNow() - began < TimeSpan.FromMinutes(4)
            ? BatchService.Error(404, "not_found") : null;
        Assert.All((await _bench.RunAsync()).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal((3, 3), (Service.Uploads, Service.Creates));
    }

    [Fact]
    public async Task A_file_that_stays_unknown_is_uploaded_again_after_five_minutes_with_a_limit()
    {
        Service.OnCall = exchange => exchange is { Method: "POST", Path: "/v1/batches" } ? BatchService.Error(404, "not_found") : null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal("not_sent", result.Error?.Code));
        Assert.Equal(9, Service.Uploads); // Three parts, each uploaded again twice.
        Assert.InRange(_bench.Time.Waits.Sum(wait => wait.TotalMinutes), 45, 60);
    }

    [Theory]
    [InlineData("file_not_found", "The input file is gone.")]
    [InlineData("error", "Input file not found")]
    [InlineData("file_expired", "")]
    public async Task A_file_lost_during_validation_is_uploaded_again(string code, string message)
    {
        Service.FailFirst = $$"""{"code":"{{code}}","message":"{{message}}"}""";
        Assert.All((await _bench.RunAsync()).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal((4, 4), (Service.Uploads, Service.Creates));
        Assert.Empty(_bench.Seen.FailedBatches);
    }

    [Theory]
    [InlineData("model_not_found", "The model in the input file does not exist.", null)]
    [InlineData("invalid_json", "Field 'x' of the file was not found.", 2)]
    [InlineData("invalid_request", "Bad line.", null)]
    public async Task A_batch_that_failed_for_another_reason_is_not_retried(string code, string message, int? line)
    {
        Service.FailFirst = "{\"code\":\"" + code + "\",\"message\":\"" + message + "\"" + (line is null ? "" : ",\"line\":" + line) + "}";
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.Equal(2, results.Values.Count(result => result.Status == ResultStatus.Failed));
        Assert.Equal((3, 3), (Service.Uploads, Service.Creates));
    }

    /// <summary>Each create fails before it has an effect, and the process ends.</summary>
    private async Task KillAfterUploadAsync()
    {
        using var kill = new CancellationTokenSource();
        Service.OnCall = exchange =>
        {
            if (exchange is not { Method: "POST", Path: "/v1/batches" })
            {
                return null;
            }

            kill.Cancel();
            return Answer.Drop;
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _bench.RunAsync(null, kill.Token));
    }
}
