using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>Which service the run of a checkpoint belongs to, whatever its current address is.</summary>
public sealed class RunServiceTests : IDisposable
{
    private static readonly Uri s_local = new("http://127.0.0.1:8421/v1");

    private readonly string _folder = Directory.CreateTempSubdirectory("service-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("https://api.example.org/v1", "https://api.example.org/v1/")]
    [InlineData("https://api.example.org/v1/", "https://api.example.org/v1")]
    [InlineData("https://api.example.org/v1", "https://API.Example.ORG/v1")]
    [InlineData("https://api.example.org/v1", "https://api.example.org:443/v1")]
    [InlineData("http://127.0.0.1:80/v1", "HTTP://127.0.0.1/v1//")]
    [InlineData("http://[::1]:8000/v1", "http://[0:0:0:0:0:0:0:1]:8000/v1/")]
    public void The_same_address_in_another_form_is_the_same_service(string before, string now)
    {
        Begin(Connect(before));
        Begin(Connect(now));
        using RunStore store = RunStore.Open(_folder);
        store.Begin(new Uri(now));
    }

    [Theory]
    [InlineData("https://api.example.org/v1", "http://api.example.org/v1")]
    [InlineData("https://api.example.org/v1", "https://api.example.org/v2")]
    [InlineData("https://api.example.org/v1", "https://api.example.org/V1")]
    [InlineData("https://api.example.org/v1", "https://api.example.org:8443/v1")]
    [InlineData("https://api.example.org/v1", "https://eu.api.example.org/v1")]
    [InlineData("https://api.inference.net/v1", "https://api.inference.net/v2")]
    [InlineData("https://api.together.ai/v1", "https://api.groq.com/v1")]
    public void Another_address_is_another_service(string before, string now)
    {
        Begin(Connect(before));
        Assert.Contains($"-BaseUri {before}", Refusal(Connect(now)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void The_two_addresses_of_a_provider_are_one_service(bool switchesFirst, bool switchesThen)
    {
        Begin(InferenceNet(switchesFirst));
        Begin(InferenceNet(switchesThen));
        Begin(Connect("https://batch.inference.net/v1/"));
        Begin(Connect("https://api.inference.net/v1"));
    }

    [Fact]
    public void The_addresses_of_a_connection_with_an_alternate_are_one_service()
    {
        var connection = new ServiceConnection(new Uri("https://a.example.org/v1"), ServiceProfile.Generic, "key", alternateUri: new Uri("https://b.example.org/v1"));
        Begin(connection);
        Assert.True(connection.SwitchToAlternate());
        Begin(connection);
        Refusal(Connect("https://b.example.org/v1"));
    }

    [Fact]
    public void A_local_service_is_identified_by_its_instance_ID_on_any_port()
    {
        Begin(Connect(s_local), new ServiceInstance("inst_1"), "/data");
        Begin(Connect("http://127.0.0.1:9000/v1"), new ServiceInstance("inst_1"));
        Begin(Connect("http://localhost:9001/v1"), new ServiceInstance("inst_1"));
        Assert.Equal(new RunService(new Uri("http://localhost:9001/v1"), "inst_1", "/data"), RunStore.ServiceOf(_folder));
    }

    [Fact]
    public void Another_service_or_program_on_its_port_is_refused()
    {
        Begin(Connect(s_local), new ServiceInstance("inst_1"), "/my data/it's");
        foreach (ServiceInstance other in new[] { new ServiceInstance("inst_2"), new ServiceInstance((string?)null) })
        {
            string text = Refusal(Connect(s_local), other);
            Assert.Contains("Start-BatchServer -DataPath '/my data/it''s'", text, StringComparison.Ordinal);
            Assert.DoesNotContain("-BaseUri", text, StringComparison.Ordinal);
        }

        // If the service runs at another address, the advice names it.
        Assert.Contains("-BaseUri http://127.0.0.1:9005/v1", Refusal(Connect(s_local), new ServiceInstance("inst_2"), new Uri("http://127.0.0.1:9005/v1")), StringComparison.Ordinal);
    }

    [Fact]
    public void If_nothing_responds_the_address_identifies_the_service()
    {
        Begin(Connect(s_local), new ServiceInstance("inst_1"));
        Begin(Connect(s_local), null);
        Assert.Contains("Start-BatchServer", Refusal(Connect("http://127.0.0.1:9000/v1")), StringComparison.Ordinal);
        Assert.Contains("Start-BatchServer", Refusal(Connect("https://api.example.org/v1")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_instance_ID_comes_with_the_first_response_and_needs_no_call()
    {
        using var server = new FaultServer();
        server.On("POST /v1/files", Answer.Json("""{"id":"f"}""", 200, "x-inference-batch-instance: inst_1"))
            .On("POST /v1/batches", Answer.Json("""{"id":"b","status":"validating"}""", 200, "x-inference-batch-instance: inst_1"))
            .On("GET /v1/batches/b", Answer.Json("""{"id":"b","status":"failed"}"""));
        BatchClient client = Clients.For(server);
        using (RunStore store = RunStore.Open(_folder))
        {
            store.Begin(client.Connection, null, "/data", null);
            using var input = new RunInput(store, 10, 1000, deduplicate: false);
            input.Add(new BatchRequest { CustomId = "a", Url = "/v1/x", BodyUtf8 = "{}"u8.ToArray() });
            using RunRequests requests = input.Complete();
            Assert.Single(await new RunEngine(client, store, requests, new RunOptions(), new RunObserver()).RunAsync().ToListAsync());
        }

        Assert.Equal(["POST /v1/files", "POST /v1/batches", "GET /v1/batches/b"], server.Asked.Distinct());
        Assert.Equal(new RunService(server.BaseUri, "inst_1", "/data"), RunStore.ServiceOf(_folder));
        Begin(Connect("http://127.0.0.1:9000/v1"), new ServiceInstance("inst_1"));
        Refusal(client.Connection, new ServiceInstance("inst_2"));
    }

    [Fact]
    public void A_checkpoint_of_an_earlier_version_is_identified_by_its_address()
    {
        File.WriteAllText(
            Path.Combine(_folder, "journal.jsonl"),
            $$"""
            {"step":"Began","address":"{{s_local}}"}
            {"step":"Spooled","attempt":1,"parts":[{"path":"part.jsonl","requestCount":1,"bytes":9,"endpoint":"/v1/x"}]}
            {"step":"Uploaded","part":"part.jsonl","fileId":"f"}

            """);
        File.WriteAllText(Path.Combine(_folder, "part.jsonl"), "{}\n");
        string before = File.ReadAllText(Path.Combine(_folder, "journal.jsonl"));
        Begin(Connect(s_local), new ServiceInstance("inst_1"));
        Begin(Connect(s_local), new ServiceInstance((string?)null));
        Assert.Equal(before, File.ReadAllText(Path.Combine(_folder, "journal.jsonl")));
        Assert.Contains($"-BaseUri {s_local}", Refusal(Connect("http://127.0.0.1:9000/v1"), new ServiceInstance("inst_1")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_instance_is_requested_without_the_key()
    {
        using var server = new FaultServer();
        server.On("GET /v1/healthz", Answer.Empty(503, "x-inference-batch-instance: inst_1"), Answer.Html(404), Answer.Drop);
        BatchClient client = Clients.For(server);
        Assert.Equal("inst_1", (await client.FindInstanceAsync())!.Id);
        Assert.Null((await client.FindInstanceAsync())!.Id);
        Assert.Null(await client.FindInstanceAsync());
        Assert.Equal(3, server.Requests.Count);
        Assert.All(server.Requests, request => Assert.Null(request.Header("Authorization")));
        server.Dispose();
        Assert.Null(await client.FindInstanceAsync());
    }

    private static ServiceConnection Connect(string address) => Connect(new Uri(address));

    private static ServiceConnection Connect(Uri address) => new(address, ServiceProfile.ForAddress(address), "key");

    private static ServiceConnection InferenceNet(bool switches)
    {
        var connection = new ServiceConnection(
            ServiceProfile.InferenceNet.BaseUri!, ServiceProfile.InferenceNet, "key", alternateUri: ServiceProfile.InferenceNet.AlternateUri);
        Assert.Equal(switches, switches && connection.SwitchToAlternate());
        return connection;
    }

    private void Begin(ServiceConnection connection, ServiceInstance? answering = null, string? dataPath = null)
    {
        using RunStore store = RunStore.Open(_folder);
        store.Begin(connection, answering, dataPath, null);
    }

    private string Refusal(ServiceConnection connection, ServiceInstance? answering = null, Uri? now = null)
    {
        using RunStore store = RunStore.Open(_folder);
        return Assert.Throws<RunMismatchException>(() => store.Begin(connection, answering, null, _ => now)).Message;
    }
}
