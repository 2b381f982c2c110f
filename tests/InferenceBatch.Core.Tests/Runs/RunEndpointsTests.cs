using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>Runs whose requests have several endpoints. A batch has one, so the requests are split by endpoint as they are split by size.</summary>
public sealed class RunEndpointsTests : IDisposable
{
    private const string Chat = "/v1/chat/completions";
    private const string Completions = "/v1/completions";
    private readonly RunBench _bench = new() { Count = 9, PartSize = 3, EndpointOf = id => id is "r1" or "r2" or "r4" or "r5" or "r8" ? Chat : Completions };

    public void Dispose() => _bench.Dispose();

    [Fact]
    public async Task Each_batch_has_one_endpoint_and_every_request_its_result()
    {
        List<string> endpoints = RecordEndpoints();
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.Equal(_bench.Ids, results.Keys.Order());
        Assert.All(results.Values, result => Assert.Equal((ResultStatus.Succeeded, result.CustomId), (result.Status, result.Text)));
        Assert.Equal([Chat, Chat, Completions, Completions], endpoints.Order());
        Assert.All(_bench.Service.Files.Values, ids => Assert.Single(ids.Select(_bench.EndpointOf).Distinct()));
        Assert.All(_bench.Service.Billed.Values, times => Assert.Equal(1, times));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Results_can_be_in_the_order_of_the_rows_and_failed_rows_are_sent_again(bool ordered)
    {
        // r2, r3 and r7 fail once: both endpoints have something to send again.
        _bench.Service.AnswerOf = (attempt, id) => attempt == 1 && id is "r2" or "r3" or "r7" && attempt == 1 ? BatchService.Failed(id, 500) : BatchService.Good(id);
        var results = new List<BatchResult>();
        await _bench.RunIntoAsync(results, new RunOptions { Ordered = ordered });
        Assert.Equal(_bench.Ids, ordered ? results.Select(result => result.CustomId) : results.Select(result => result.CustomId).Order());
        Assert.All(results, result => Assert.Equal((ResultStatus.Succeeded, result.CustomId), (result.Status, result.Text)));
        Assert.All(_bench.Service.Files.Values, ids => Assert.Single(ids.Select(_bench.EndpointOf).Distinct()));
        Assert.Equal(6, _bench.Service.Creates);
    }

    [Fact]
    public async Task A_checkpoint_resumes_and_sends_nothing_twice()
    {
        _bench.Service.AnswerOf = (_, id) => id is "r3" or "r8" ? BatchService.Failed(id, 400) : BatchService.Good(id);
        Dictionary<string, BatchResult> first = await _bench.RunAsync();
        int creates = _bench.Service.Creates;
        Dictionary<string, BatchResult> again = await _bench.RunAsync();
        Assert.Equal(creates, _bench.Service.Creates);
        Assert.Equal(first.Select(pair => (pair.Key, pair.Value.Status, pair.Value.Text)).Order(), again.Select(pair => (pair.Key, pair.Value.Status, pair.Value.Text)).Order());

        _bench.Service.AnswerOf = (_, id) => BatchService.Good(id);
        Dictionary<string, BatchResult> retried = await _bench.RunAsync(new RunOptions { RetryFailed = true });
        Assert.All(retried.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal(creates + 2, _bench.Service.Creates);
        Assert.Equal(["r3", "r8"], _bench.Service.Files.Skip(4).SelectMany(file => file.Value).Order());
    }

    [Theory]
    [InlineData("r5", Completions)]
    [InlineData("r3", Chat)]
    [InlineData("r9", "/v1/embeddings")]
    public async Task Another_endpoint_for_a_row_is_a_mismatch(string row, string endpoint)
    {
        await _bench.RunAsync();
        Func<string, string> before = _bench.EndpointOf;
        _bench.EndpointOf = id => id == row ? endpoint : before(id);
        await Assert.ThrowsAsync<RunMismatchException>(() => _bench.RunAsync());
    }

    private List<string> RecordEndpoints()
    {
        var endpoints = new List<string>();
        _bench.Service.OnCall = exchange =>
        {
            if (exchange.Path == "/v1/batches" && exchange.Method == "POST")
            {
                endpoints.Add(JsonDocument.Parse(exchange.BodyText).RootElement.GetProperty("endpoint").GetString()!);
            }

            return null;
        };
        return endpoints;
    }
}
