using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>A service with a full queue: parts that fit are sent, the others wait, and nothing is lost.</summary>
public sealed class RunQueueTests : IDisposable
{
    private readonly RunBench _bench = new();

    private BatchService Service => _bench.Service;

    public void Dispose() => _bench.Dispose();

    /// <summary>The refusals of OpenAI (the batch fails), Azure OpenAI, and gateways that refuse the create.</summary>
    [Theory]
    [InlineData(429, "token_limit_exceeded", "Enqueued token limit reached for m.")]
    [InlineData(400, "error", "Enqueued token limit reached for m. Limit: 90,000 enqueued tokens.")]
    [InlineData(429, "TooManyBatches", "Wait for one to finish.")]
    [InlineData(400, "quotaExceeded", "The number of enqueued tokens has surpassed the configured limit of 30K.")]
    [InlineData(400, "invalid_request_error", "You have too many active batches.")]
    public async Task A_create_that_is_refused_for_hours_is_retried_with_growing_waits(int status, string code, string message)
    {
        int refused = 0;
        Service.OnCall = exchange => IsCreate(exchange) && ++refused <= 40 ? BatchService.Error(status, code, message) : null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal((3, 3), (Service.Uploads, Service.Creates));
        Assert.Empty(_bench.Seen.Problems);
        // Three parts are refused about 13 times. The waits grow from 15 seconds to ten minutes.
        double[] waits = [.. _bench.Time.Waits.Select(wait => wait.TotalSeconds).Where(wait => wait > 1)];
        Assert.InRange(waits.Max(), 590, 600);
        Assert.InRange(waits.Sum(), 3000, 8000);
        Assert.InRange(_bench.Seen.Queues.Count, 2, 6);
        Assert.Equal(3, _bench.Seen.Queues[0].Parts);
        Assert.Contains(message.TrimEnd('.'), _bench.Seen.Queues[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_batch_that_fails_because_the_queue_is_full_is_created_again_when_another_ends()
    {
        Service.QueueSize = 1;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal(3, Service.Uploads);
        Assert.Equal(3, Service.Batches.Values.Count(batch => !batch.IsRefused));
        Assert.Empty(_bench.Seen.FailedBatches);
        // The parts are sent as soon as there is room, without the shortest wait between two tries.
        Assert.InRange(_bench.Time.Waits.Sum(wait => wait.TotalSeconds), 0, 60);
    }

    [Fact]
    public async Task A_part_that_fits_does_not_wait_for_a_part_that_does_not()
    {
        var created = new List<string>();
        Service.OnCall = exchange =>
        {
            if (!IsCreate(exchange))
            {
                return null;
            }

            string file = exchange.BodyText.Split("\"file-")[1][..1];
            created.Add(file);
            return file == "1" && Service.Batches.Values.Count(batch => !batch.IsOpen) < 2 ? BatchService.Error(429, "token_limit_exceeded") : null;
        };
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.Equal(["1", "2", "3"], created.Take(3));
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal(3, Service.Creates);
    }

    [Fact]
    public async Task After_a_timeout_unsent_requests_are_reported_and_the_same_command_sends_them()
    {
        Service.OnCall = exchange => IsCreate(exchange) && Service.Creates > 0 ? BatchService.Error(429, "token_limit_exceeded", "Enqueued token limit reached.") : null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync(new RunOptions { Timeout = TimeSpan.FromHours(1) });
        Assert.Equal(["r1", "r2"], results.Values.Where(result => result.Status == ResultStatus.Succeeded).Select(result => result.CustomId).Order());
        Assert.All(results.Values.Where(result => result.Status != ResultStatus.Succeeded), result =>
        {
            Assert.Equal("not_sent", result.Error?.Code);
            Assert.Contains("Enqueued token limit reached", result.Error?.Message, StringComparison.Ordinal);
        });
        Assert.Equal(6, results.Count);
        Assert.Single(_bench.Seen.Problems);
        Assert.InRange(_bench.Time.Waits.Sum(wait => wait.TotalMinutes), 59, 62);

        Service.OnCall = _ => null;
        results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal((3, 3), (Service.Uploads, Service.Creates));
        Assert.All(Service.Billed.Values, times => Assert.Equal(1, times));
    }

    [Fact]
    public async Task Retry_After_of_a_refusal_is_respected()
    {
        int refused = 0;
        Service.OnCall = exchange => IsCreate(exchange) && ++refused == 1 ? BatchService.Error(429, "token_limit_exceeded", "Full.", "Retry-After: 900") : null;
        await _bench.RunAsync(new RunOptions());
        // The others fit. The first is not retried early.
        Assert.Equal(4, Service.Server.Requests.Count(exchange => exchange is { Method: "POST", Path: "/v1/batches" }));
        Assert.InRange(_bench.Time.Waits.Sum(wait => wait.TotalSeconds), 1, 1100);
    }

    [Fact]
    public async Task A_run_waits_for_full_file_storage_too()
    {
        int refused = 0;
        Service.OnCall = exchange => exchange is { Method: "POST", Path: "/v1/files" } && ++refused < 6
            ? BatchService.Error(400, "quotaExceeded", "This resource has reached the maximum number of files.") : null;
        Assert.All((await _bench.RunAsync()).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
    }

    /// <summary>A journal of version 0.1.0 before the fix: the end of a batch that failed because the queue was full, followed by another batch.</summary>
    [Fact]
    public async Task A_journal_with_the_end_of_an_old_batch_before_a_new_batch_is_read()
    {
        Service.QueueSize = 0;
        await _bench.RunAsync(new RunOptions { Timeout = TimeSpan.FromSeconds(1) });
        Service.QueueSize = int.MaxValue;
        List<string> journal = [.. File.ReadAllLines(_bench.Journal).Where(line => line.Contains("Began", StringComparison.Ordinal) || line.Contains("Spooled", StringComparison.Ordinal))];
        foreach (int part in (int[])[1, 2, 3])
        {
            string name = $"\"part\":\"part-00{part}.jsonl\"";
            string full = "{\"id\":\"full-" + part + "\",\"status\":\"failed\",\"errors\":{\"data\":[{\"code\":\"token_limit_exceeded\",\"message\":\"Full.\"}]}}";
            journal.AddRange(
            [
                $$"""{"step":"Uploaded",{{name}},"fileId":"file-{{part}}"}""",
                $$"""{"step":"Creating",{{name}}}""",
                $$"""{"step":"Created",{{name}},"batchId":"full-{{part}}"}""",
                "{\"step\":\"Ended\"," + name + ",\"batch\":" + JsonSerializer.Serialize(full) + "}",
                $$"""{"step":"Downloaded",{{name}}}""",
            ]);
            if (part < 3)
            {
                journal.AddRange([$$"""{"step":"Postponed",{{name}}}""", $$"""{"step":"Creating",{{name}}}"""]);
                string id = CreateAtService($"file-{part}");
                journal.Add($$"""{"step":"Created",{{name}},"batchId":"{{id}}"}""");
            }
        }

        File.WriteAllLines(_bench.Journal, journal);
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.All(Service.Billed.Values, times => Assert.Equal(1, times));
        // The third part, which an earlier version gave up, has a batch.
        Assert.Equal(3, Service.Batches.Values.Count(batch => !batch.IsRefused));
    }

    private string CreateAtService(string fileId)
    {
        using var http = new HttpClient();
        using var body = new StringContent($$"""{"input_file_id":"{{fileId}}"}""");
        using HttpResponseMessage answer = http.PostAsync(Service.Server.BaseUri + "/batches", body).GetAwaiter().GetResult();
        return $"batch-{Service.Creates}";
    }

    private static bool IsCreate(Exchange exchange) => exchange is { Method: "POST", Path: "/v1/batches" };
}
