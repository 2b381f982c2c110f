using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using InferenceBatch.Model;
using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>Which calls are retried, when, and how often. Rules: the reference, "Retry".</summary>
public sealed class RetryTests : IDisposable
{
    private const string Good = """{"id":"b","status":"completed"}""";

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();

    public void Dispose() => _server.Dispose();

    [Theory]
    [InlineData(408)]
    [InlineData(409)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    [InlineData(529)]
    public async Task Temporary_errors_are_retried(int status)
    {
        _server.On("GET /v1/batches/b", Answer.Json("""{"error":"not now"}""", status), Answer.Html(status), Answer.Empty(status), Answer.Json(Good));
        Assert.Equal("b", (await Clients.For(_server, _time).GetBatchAsync("b")).Id);
        Assert.Equal(4, _server.Requests.Count);
    }

    [Fact]
    public async Task Waits_double_from_half_a_second_with_up_to_a_quarter_of_jitter()
    {
        _server.On("GET /v1/batches/b", Answer.Html(503));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).GetBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, exception.Kind);
        Assert.Equal(5, _server.Requests.Count);
        double[] longest = [0.5, 1, 2, 4];
        Assert.Equal(longest.Length, _time.Waits.Count);
        Assert.All(_time.Waits.Zip(longest), pair => Assert.InRange(pair.First.TotalSeconds, pair.Second * 0.75, pair.Second));
    }

    [Fact]
    public void A_wait_without_Retry_After_is_8_seconds_at_most()
    {
        for (int attempt = 1; attempt < 50; attempt++)
        {
            Assert.InRange(RetryPolicy.DelayAfter(attempt, null).TotalSeconds, 0.375, 8);
        }

        Assert.InRange(RetryPolicy.DelayAfter(int.MaxValue, null).TotalSeconds, 6, 8);
    }

    [Theory]
    [InlineData("retry-after-ms: 1500", 1.5)]
    [InlineData("Retry-After: 7", 7)]
    [InlineData("Retry-After: 0.25", 0.25)]
    [InlineData("Retry-After: 120", 120)]
    [InlineData("Retry-After: Thu, 01 Jan 2026 00:00:30 GMT", 30)]
    [InlineData("retry-after-ms: 1500\r\nRetry-After: 60", 1.5)]
    [InlineData("retry-after-ms: soon\r\nRetry-After: 60", 60)]
    public async Task The_Retry_After_of_the_service_is_respected(string headers, double seconds)
    {
        _server.On("GET /v1/batches/b", Answer.Empty(429, headers.Split("\r\n")), Answer.Json(Good));
        await Clients.For(_server, _time).GetBatchAsync("b");
        Assert.Equal(TimeSpan.FromSeconds(seconds), Assert.Single(_time.Waits));
    }

    [Theory]
    [InlineData("Retry-After: -5")]
    [InlineData("Retry-After: NaN")]
    [InlineData("retry-after-ms: NaN")]
    [InlineData("retry-after-ms: -1")]
    [InlineData("Retry-After: later")]
    [InlineData("Retry-After: Wed, 31 Dec 2025 00:00:00 GMT")]
    [InlineData("Retry-After: ")]
    public async Task An_invalid_Retry_After_is_ignored(string header)
    {
        _server.On("GET /v1/batches/b", Answer.Empty(503, header), Answer.Json(Good));
        await Clients.For(_server, _time).GetBatchAsync("b");
        Assert.InRange(Assert.Single(_time.Waits).TotalSeconds, 0.375, 0.5);
    }

    /// <summary>Users do not wait that long for a command, and the service asks not to retry earlier.</summary>
    [Theory]
    [InlineData(429, "Retry-After: 121", "121")]
    [InlineData(503, "Retry-After: 300", "300")]
    [InlineData(503, "retry-after-ms: 120001", "121")]
    [InlineData(503, "Retry-After: Thu, 01 Jan 2026 01:00:00 GMT", "3,600")]
    [InlineData(503, "Retry-After: 1e300", "3,600")]
    public async Task A_Retry_After_over_two_minutes_ends_the_call_and_is_reported(int status, string header, string seconds)
    {
        _server.On("GET /v1/batches/b", Answer.Empty(status, header));
        _server.On("POST /v1/files", Answer.Empty(status, header));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).GetBatchAsync("b"));
        Assert.Contains($"asks for a pause of {seconds} seconds", exception.Message, StringComparison.Ordinal);
        Assert.True(exception.IsTransient);
        Assert.Single(_server.Requests);
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task A_create_with_a_long_Retry_After_is_looked_up_and_not_repeated()
    {
        _server.On("POST /v1/batches", Answer.Empty(503, "Retry-After: 300"));
        _server.On("GET /v1/batches", Answer.Json("""{"object":"list","data":[],"has_more":false}"""));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).CreateBatchAsync(
            new NewBatch { InputFileId = "f", Endpoint = "/v1/embeddings", CompletionWindow = "24h" }));
        Assert.True(exception.IsOutcomeUnknown);
        Assert.Contains("300 seconds", exception.Message, StringComparison.Ordinal);
        Assert.Single(_server.Requests, call => call.Method == "POST");
    }

    /// <summary>Only the user can fix these errors, so a retry would only take time, whatever the status is.</summary>
    [Theory]
    [InlineData(429, "insufficient_quota")]
    [InlineData(429, "billing_hard_limit_reached")]
    [InlineData(500, "insufficient_quota")]
    [InlineData(503, "account_deactivated")]
    public async Task Errors_that_only_the_user_can_fix_are_not_retried(int status, string code)
    {
        _server.On("GET /v1/batches/b", Answer.Json($$$"""{"error":{"message":"The words.","code":"{{{code}}}"}}""", status));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).GetBatchAsync("b"));
        Assert.False(exception.IsTransient);
        Assert.Contains("Waiting does not help", exception.Message, StringComparison.Ordinal);
        Assert.Single(_server.Requests);
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task A_Retry_After_of_zero_retries_at_once()
    {
        _server.On("GET /v1/batches/b", Answer.Empty(429, "Retry-After: 0"), Answer.Json(Good));
        await Clients.For(_server, _time).GetBatchAsync("b");
        Assert.Empty(_time.Waits);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(409)]
    public async Task X_should_retry_false_prevents_a_retry(int status)
    {
        _server.On("GET /v1/batches/b", Answer.Empty(status, "x-should-retry: false"));
        await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).GetBatchAsync("b"));
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task X_should_retry_true_causes_a_retry_of_any_refusal()
    {
        _server.On("GET /v1/batches/b", Answer.Empty(400, "x-should-retry: true"), Answer.Json(Good));
        await Clients.For(_server, _time).GetBatchAsync("b");
        Assert.Equal(2, _server.Requests.Count);
    }

    [Theory]
    [InlineData(429, ServiceErrorKind.RateLimited)]
    [InlineData(503, ServiceErrorKind.ServiceUnavailable)]
    [InlineData(409, ServiceErrorKind.ServiceRejected)]
    public async Task After_five_attempts_the_last_response_is_the_error(int status, ServiceErrorKind kind)
    {
        _server.On("DELETE /v1/files/f", Answer.Json("""{"error":{"message":"The words."}}""", status));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).DeleteFileAsync("f"));
        Assert.Equal(kind, exception.Kind);
        Assert.Contains("The words.", exception.Message, StringComparison.Ordinal);
        Assert.Equal(5, _server.Requests.Count);
    }

    public static TheoryData<string> Faults => ["drop", "cut", "cut in a chunk", "truncated", "HTML", "empty", "wrong shape"];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_broken_response_is_retried(string fault)
    {
        Behaviour broken = fault switch
        {
            "drop" => Answer.Drop,
            "cut" => Answer.CutOff("""{"id":"b","status":"completed"}"""u8.ToArray(), 10),
            "cut in a chunk" => Answer.Chunked("{\"id\":\"b\""u8.ToArray(), isWhole: false),
            "truncated" => Answer.Json("""{"id":"b","stat"""),
            "HTML" => Answer.Html(200),
            "empty" => Answer.Empty(200),
            _ => Answer.Json("""{"ok":true}"""),
        };
        _server.On("GET /v1/batches/b", broken, Answer.Json(Good));
        Assert.Equal("b", (await Clients.For(_server, _time).GetBatchAsync("b")).Id);
        Assert.Equal(2, _server.Requests.Count);
    }

    [Fact]
    public async Task A_connection_that_closes_at_once_is_retried()
    {
        _server.On("GET /v1/batches/b", Answer.Json(Good));
        _server.RefuseNext(2);
        Assert.Equal("b", (await Clients.For(_server, _time).GetBatchAsync("b")).Id);
        Assert.Equal(2, _time.Waits.Count);
    }

    [Fact]
    public async Task A_service_that_does_not_exist_is_unavailable()
    {
        Uri address = _server.BaseUri;
        _server.Dispose();
        var client = new BatchClient(new ServiceConnection(address, ServiceProfile.Generic, null), _time);
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => client.GetBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.ServiceUnavailable, exception.Kind);
        Assert.Null(exception.StatusCode);
        Assert.True(exception.NeverSent);
        Assert.Equal(4, _time.Waits.Count);
        Assert.Contains($"127.0.0.1:{address.Port}/v1", exception.Message, StringComparison.Ordinal);
        Assert.Contains("cannot be reached: connection refused.", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://no-such-host.invalid/v1", "host not found (no-such-host.invalid:80)")]
    [InlineData("https://no-such-host.invalid:8443/v1", "host not found.")]
    public async Task An_unknown_host_is_reported_with_its_port(string address, string text)
    {
        var client = new BatchClient(new ServiceConnection(new Uri(address), ServiceProfile.Generic, "key-of-nobody-4711"), _time);
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => client.GetBatchAsync("b"));
        Assert.Contains(text, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("4711", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_that_is_dropped_is_described()
    {
        _server.On("GET /v1/batches/b", Answer.Drop);
        ServiceException dropped = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).GetBatchAsync("b"));
        Assert.Contains("cannot be reached: the connection ", dropped.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_untrusted_certificate_is_reported()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task serving = Task.Run(async () =>
        {
            using TcpClient caller = await listener.AcceptTcpClientAsync();
            using var tls = new SslStream(caller.GetStream());
            await Assert.ThrowsAnyAsync<Exception>(async () =>
            {
                await tls.AuthenticateAsServerAsync(certificate);
                await tls.ReadExactlyAsync(new byte[1]);
            });
        });
        var address = new Uri($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/v1");
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(
            () => new BatchClient(new ServiceConnection(address, ServiceProfile.Generic, null), _time).GetBatchAsync("b", RetryPolicy.Once));
        Assert.Contains("TLS certificate not trusted: ", exception.Message, StringComparison.Ordinal);
        Assert.True(exception.NeverSent);
        await serving.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_service_that_is_silent_for_100_seconds_is_retried(bool inBody)
    {
        _server.On("GET /v1/batches/b", inBody ? Answer.StallAfter(new byte[100], 10) : Answer.Stall, Answer.Json(Good));
        Task<Batch> call = Clients.For(_server, _time).GetBatchAsync("b");
        await _server.ArrivalAsync();
        _time.Advance(TimeSpan.FromSeconds(99));
        Assert.Single(_server.Requests);
        _time.Advance(TimeSpan.FromSeconds(2));
        // On a busy machine, the head of the response may be read only now, and then the 100 seconds start again.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (await Task.WhenAny(call, Task.Delay(500, limit.Token)) != call && !limit.IsCancellationRequested)
        {
            _time.Advance(TimeSpan.FromSeconds(101));
        }

        Assert.Equal("b", (await call.WaitAsync(TimeSpan.FromSeconds(30))).Id);
    }

    [Fact]
    public async Task A_policy_of_one_attempt_does_not_retry()
    {
        _server.On("GET /v1/batches/b", Answer.Empty(429));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server, _time).GetBatchAsync("b", RetryPolicy.Once));
        Assert.True(exception.IsTransient);
        Assert.Single(_server.Requests);
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task Cancellation_ends_a_wait()
    {
        var slow = new FakeTime { SkipsWaits = false };
        _server.On("GET /v1/batches/b", Answer.Empty(429, "Retry-After: 60"));
        using var cancel = new CancellationTokenSource();
        Task<Batch> call = Clients.For(_server, slow).GetBatchAsync("b", cancellationToken: cancel.Token);
        await _server.ArrivalAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData("sv-SE")]
    [InlineData("ar-SA")]
    public void Headers_do_not_depend_on_the_culture(string culture)
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo(culture);
            using var response = new HttpResponseMessage(HttpStatusCode.ServiceUnavailable);
            response.Headers.TryAddWithoutValidation("Retry-After", "1.5");
            Assert.Equal(TimeSpan.FromSeconds(1.5), RetryPolicy.ReadRetryAfter(response.Headers, _time.GetUtcNow()));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }
}
