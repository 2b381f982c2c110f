using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>A service that is unavailable while files are uploaded and batches created. The run waits, and no batch is created twice.</summary>
public sealed class RunOutageTests : IDisposable
{
    private readonly RunBench _bench = new();

    private BatchService Service => _bench.Service;

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData("POST /v1/files", "reset")]
    [InlineData("POST /v1/files", "503")]
    [InlineData("POST /v1/files", "500")]
    [InlineData("POST /v1/files", "429")]
    [InlineData("POST /v1/files", "refused")]
    [InlineData("POST /v1/batches", "reset")]
    [InlineData("POST /v1/batches", "502")]
    [InlineData("POST /v1/batches", "429")]
    [InlineData("everything", "reset")]
    [InlineData("everything", "504")]
    public async Task An_outage_of_an_hour_loses_nothing(string route, string fault)
    {
        TimeSpan end = TimeSpan.FromHours(1);
        DateTimeOffset began = _bench.Time.GetUtcNow();
        if (fault == "refused")
        {
            Service.Server.RefuseNext(60);
        }
        else
        {
            Service.OnCall = exchange => _bench.Time.GetUtcNow() - began < end && (route == "everything" || route == $"{exchange.Method} {exchange.Path}")
                ? fault switch { "reset" => Answer.Drop, "429" => BatchService.Error(429, "rate_limit_exceeded"), _ => Answer.Html(int.Parse(fault, System.Globalization.CultureInfo.InvariantCulture)) }
                : null;
        }

        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Empty(_bench.Seen.Problems);
        Assert.Equal((3, 3), (Service.Uploads, Service.Creates));
        Assert.True(_bench.Time.GetUtcNow() - began >= TimeSpan.FromMinutes(40));
        // Reported with the reason after ten seconds, or after the lookup of a lost create, and then every five minutes.
        Assert.InRange(_bench.Seen.Outages[0].Since, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(route.EndsWith("batches", StringComparison.Ordinal) ? 30 : 11));
        Assert.InRange(_bench.Seen.Outages.Count, 8, 14);
        Assert.Contains(Service.Server.BaseUri.Authority, _bench.Seen.Outages[0].Text, StringComparison.Ordinal);
        // The waits grow up to a minute.
        Assert.InRange(Service.Server.Requests.Count, 10, 400);
    }

    [Theory]
    [InlineData("POST /v1/files")]
    [InlineData("POST /v1/batches")]
    public async Task Retry_After_of_any_length_is_respected(string route)
    {
        DateTimeOffset? asked = null;
        Service.OnCall = exchange =>
        {
            if (route != $"{exchange.Method} {exchange.Path}" || asked is not null)
            {
                Assert.True(asked is null || _bench.Time.GetUtcNow() - asked >= TimeSpan.FromSeconds(3600));
                return null;
            }

            asked = _bench.Time.GetUtcNow();
            return BatchService.Error(429, "rate_limit_exceeded", "Slow down.", "Retry-After: 3600");
        };
        Assert.All((await _bench.RunAsync()).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal(3, Service.Creates);
        Assert.Contains("Slow down", _bench.Seen.Outages[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_timeout_ends_the_wait_for_all_parts_together_and_the_run_can_be_resumed()
    {
        Service.OnCall = _ => Answer.Html(503);
        DateTimeOffset began = _bench.Time.GetUtcNow();
        Dictionary<string, BatchResult> results = await _bench.RunAsync(new RunOptions { Timeout = TimeSpan.FromMinutes(10) });
        Assert.All(results.Values, result => Assert.Equal("not_sent", result.Error?.Code));
        Assert.Equal(6, results.Count);
        Assert.InRange(_bench.Time.GetUtcNow() - began, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(11));
        Service.OnCall = _ => null;
        Assert.All((await _bench.RunAsync()).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
    }

    [Fact]
    public async Task A_Retry_After_beyond_the_timeout_ends_the_wait()
    {
        Service.OnCall = exchange => exchange.Method == "POST" ? BatchService.Error(429, "rate_limit_exceeded", "Slow down.", "Retry-After: 900") : null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync(new RunOptions { Timeout = TimeSpan.FromMinutes(10) });
        Assert.All(results.Values, result => Assert.Equal("not_sent", result.Error?.Code));
        Assert.Equal(3, Service.Server.Requests.Count); // Once for each part.
    }

    [Theory]
    [InlineData(400)]
    [InlineData(402)]
    [InlineData(413)]
    [InlineData(422)]
    [InlineData(501)]
    public async Task Permanent_errors_are_not_waited_for(int status)
    {
        Service.OnCall = exchange => exchange.Method == "POST" ? BatchService.Error(status, "c") : null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal("not_sent", result.Error?.Code));
        Assert.Equal(3, Service.Server.Requests.Count);
        Assert.Empty(_bench.Time.Waits);
    }

    [Theory]
    [InlineData("insufficient_quota")]
    [InlineData("billing_hard_limit_reached")]
    [InlineData("model_not_found")]
    public async Task A_429_that_only_the_user_can_fix_is_not_waited_for(string code)
    {
        Service.OnCall = exchange => exchange.Path == "/v1/batches" ? BatchService.Error(429, code) : null;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal("not_sent", result.Error?.Code));
        Assert.Equal(3, Service.Server.Requests.Count(exchange => exchange.Path == "/v1/batches"));
    }

    /// <summary>The create succeeds, its response is lost, and then the whole service is unavailable for an hour.</summary>
    [Theory]
    [InlineData("reset")]
    [InlineData("cut")]
    [InlineData("502")]
    public async Task A_create_without_a_response_is_found_after_the_outage(string fault)
    {
        DateTimeOffset? away = null;
        Service.OnCall = exchange => away is null || _bench.Time.GetUtcNow() - away > TimeSpan.FromHours(1) ? null : Answer.Drop;
        Behaviour create = Answer.Choose(exchange =>
        {
            away ??= _bench.Time.GetUtcNow();
            return fault switch { "reset" => Answer.Drop, "cut" => Answer.CutOff("""{"id":"batch-1"}"""u8.ToArray(), 8, "Content-Type: application/json"), _ => Answer.Html(502) };
        });
        bool isFirst = true;
        Service.AfterCreate = answer => isFirst && !(isFirst = false) ? create : answer;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.All(results.Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal(3, Service.Creates);
        Assert.All(Service.Billed.Values, times => Assert.Equal(1, times));
    }

    /// <summary>An accepted batch appears in the list after some minutes. The run looks for it and does not create it again.</summary>
    [Fact]
    public async Task An_accepted_create_that_is_listed_late_is_found()
    {
        DateTimeOffset began = _bench.Time.GetUtcNow();
        Service.OnCall = exchange => exchange is { Method: "GET" } && exchange.Path.StartsWith("/v1/batches?", StringComparison.Ordinal) && _bench.Time.GetUtcNow() - began < TimeSpan.FromMinutes(3)
            ? Answer.Json("""{"data":[],"has_more":false}""") : null;
        bool isFirst = true;
        Service.AfterCreate = answer => isFirst && !(isFirst = false) ? Answer.Json("""{"id":"ba""") : answer;
        Assert.All((await _bench.RunAsync()).Values, result => Assert.Equal(ResultStatus.Succeeded, result.Status));
        Assert.Equal(3, Service.Creates);
    }

    [Fact]
    public async Task An_accepted_create_that_is_never_listed_is_not_repeated_automatically()
    {
        Service.OnCall = exchange => exchange is { Method: "GET" } && exchange.Path.StartsWith("/v1/batches?", StringComparison.Ordinal) ? Answer.Json("""{"data":[],"has_more":false}""") : null;
        bool isFirst = true;
        Service.AfterCreate = answer => isFirst && !(isFirst = false) ? Answer.Json("""{"id":"ba""") : answer;
        Dictionary<string, BatchResult> results = await _bench.RunAsync();
        Assert.Equal(["r1", "r2"], results.Values.Where(result => result.Error?.Code == "outcome_unknown").Select(result => result.CustomId).Order());
        Assert.Equal(3, Service.Creates);
    }

    [Fact]
    public async Task Cancellation_ends_the_wait_at_once()
    {
        using var bench = new RunBench { Time = new FakeTime { SkipsWaits = false } };
        using var cancel = new CancellationTokenSource();
        bench.Service.OnCall = _ => BatchService.Error(429, "rate_limit_exceeded", "Slow down.", "Retry-After: 900");
        Task<Dictionary<string, BatchResult>> run = bench.RunAsync(null, cancel.Token);
        await bench.Service.Server.ArrivalAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(30)));
    }
}
