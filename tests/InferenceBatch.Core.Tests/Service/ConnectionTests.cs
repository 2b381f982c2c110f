using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>Addresses, keys and redirects of calls.</summary>
public sealed class ConnectionTests : IDisposable
{
    private const string Good = """{"id":"b","status":"completed"}""";

    private readonly FaultServer _server = new();
    private readonly FaultServer _other = new();
    private readonly FakeTime _time = new();

    public void Dispose()
    {
        _server.Dispose();
        _other.Dispose();
    }

    [Fact]
    public async Task A_profile_can_have_its_own_key_header()
    {
        _server.On("GET /v1/batches/b", Answer.Json(Good));
        await Clients.For(_server, profile: ServiceProfile.Find("AzureOpenAI")!).GetBatchAsync("b");
        Exchange request = Assert.Single(_server.Requests);
        Assert.Equal(Clients.Key, request.Header("api-key"));
        Assert.Null(request.Header("Authorization"));
    }

    [Fact]
    public async Task Additional_headers_are_sent_with_every_call()
    {
        _server.On("GET /v1/batches/b", Answer.Json(Good));
        await Clients.For(_server, headers: new Dictionary<string, string> { ["X-Team"] = "blue" }).GetBatchAsync("b");
        Assert.Equal("blue", Assert.Single(_server.Requests).Header("X-Team"));
    }

    [Fact]
    public async Task Without_a_key_there_is_no_header()
    {
        _server.On("GET /v1/batches/b", Answer.Json(Good));
        await new BatchClient(new ServiceConnection(_server.BaseUri, ServiceProfile.Local, " ")).GetBatchAsync("b");
        Assert.Null(Assert.Single(_server.Requests).Header("Authorization"));
    }

    [Fact]
    public async Task A_redirect_on_the_same_host_keeps_the_key()
    {
        _server.On("GET /v1/batches/b", Answer.Redirect(new Uri("/v2/batches/b", UriKind.Relative)))
            .On("GET /v2/batches/b", Answer.Json(Good));
        await Clients.For(_server).GetBatchAsync("b");
        Assert.All(_server.Requests, request => Assert.Equal("Bearer " + Clients.Key, request.Header("Authorization")));
        Assert.Equal(2, _server.Requests.Count);
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(303)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task A_redirect_to_another_host_gets_no_key(int status)
    {
        _server.On("GET /v1/files/f/content", Answer.Redirect(new Uri(_other.BaseUri, "/elsewhere"), status));
        _other.On("GET /elsewhere", Answer.Whole(200, "text/plain", "content"u8.ToArray()));
        BatchClient client = Clients.For(_server, headers: new Dictionary<string, string> { ["X-Secret"] = "s" });
        using HttpResponseMessage response = await client.OpenContentAsync("f");
        Assert.Equal("content", await response.Content.ReadAsStringAsync());
        Exchange request = Assert.Single(_other.Requests);
        Assert.Null(request.Header("Authorization"));
        Assert.Null(request.Header("X-Secret"));
    }

    /// <summary>127.0.0.1 and localhost are the same machine, but two hosts.</summary>
    [Fact]
    public async Task Another_host_name_is_another_host()
    {
        _server.On("GET /v1/batches/b", Answer.Redirect(new Uri($"http://localhost:{_server.BaseUri.Port}/v2/b")))
            .On("GET /v2/b", Answer.Json(Good));
        await Clients.For(_server).GetBatchAsync("b");
        Assert.Null(_server.Requests[^1].Header("Authorization"));
    }

    [Theory]
    [InlineData(302)]
    [InlineData(307)]
    public async Task A_body_is_not_sent_to_another_host(int status)
    {
        _server.On("POST /v1/batches", Answer.Redirect(new Uri(_other.BaseUri, "/elsewhere"), status));
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(
            () => Clients.For(_server).CreateBatchAsync(new NewBatch { InputFileId = "f", Endpoint = "e" }));
        Assert.Equal(ServiceErrorKind.ServiceRejected, exception.Kind);
        Assert.Empty(_other.Requests);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task A_307_on_the_same_host_resends_the_body()
    {
        _server.On("POST /v1/batches", Answer.Redirect(new Uri("/v2/batches", UriKind.Relative), 307)).On("POST /v2/batches", Answer.Json(Good));
        await Clients.For(_server).CreateBatchAsync(new NewBatch { InputFileId = "f", Endpoint = "e" });
        Assert.Equal(_server.Requests[0].BodyText, _server.Requests[1].BodyText);
        Assert.Contains("\"f\"", _server.Requests[1].BodyText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/batches/b")]
    [InlineData("ftp://example.org/x")]
    [InlineData("file:///etc/passwd")]
    [InlineData("http://[broken")]
    public async Task A_redirect_loop_or_an_invalid_redirect_ends(string location)
    {
        _server.On("GET /v1/batches/b", Answer.Empty(302, "Location: " + location));
        await Clients.FailsAsync(Clients.For(_server).GetBatchAsync("b"));
        Assert.InRange(_server.Requests.Count, 1, 6);
    }

    [Fact]
    public async Task If_the_first_address_has_no_batch_API_the_second_is_used_from_then_on()
    {
        _other.On("GET /v1/batches/b", Answer.Json(Good)).On("GET /v1/batches/c", Answer.Json(Good));
        List<string> warnings = [];
        BatchClient client = Clients.For(_server, alternate: _other.BaseUri, warn: warnings.Add);
        await client.GetBatchAsync("b");
        await client.GetBatchAsync("c");
        Assert.Equal(["GET /v1/batches/b"], _server.Asked);
        Assert.Equal(["GET /v1/batches/b", "GET /v1/batches/c"], _other.Asked);
        Assert.Equal("Bearer " + Clients.Key, _other.Requests[0].Header("Authorization"));
        Assert.Contains(_other.BaseUri.ToString(), Assert.Single(warnings), StringComparison.Ordinal);
        Assert.Equal(_other.BaseUri, client.Connection.BaseUri);
    }

    [Fact]
    public async Task A_405_with_HTML_and_an_upload_switch_to_the_second_address_too()
    {
        _server.On("POST /v1/batches", Answer.Html(405));
        _other.On("POST /v1/batches", Answer.Json(Good));
        await Clients.For(_server, alternate: _other.BaseUri).CreateBatchAsync(new NewBatch { InputFileId = "f", Endpoint = "e" });
        Assert.Equal(_server.Requests[0].BodyText, Assert.Single(_other.Requests).BodyText);
    }

    [Theory]
    [InlineData(404, """{"error":{"message":"No such batch."}}""")]
    [InlineData(405, """{"error":{"message":"Not so."}}""")]
    [InlineData(401, "<html>")]
    [InlineData(400, "<html>")]
    public async Task A_response_of_the_API_does_not_switch_the_address(int status, string body)
    {
        _server.On("GET /v1/batches/b", Answer.Json(body, status));
        await Clients.FailsAsync(Clients.For(_server, alternate: _other.BaseUri).GetBatchAsync("b"));
        Assert.Empty(_other.Requests);
    }

    [Fact]
    public async Task A_request_for_models_does_not_switch_the_address()
    {
        BatchClient client = Clients.For(_server, alternate: _other.BaseUri);
        await Clients.FailsAsync(client.ListModelsAsync());
        Assert.Equal(_server.BaseUri, client.Connection.BaseUri);
        Assert.Empty(_other.Requests);
    }

    [Fact]
    public async Task Concurrent_calls_all_find_the_second_address()
    {
        string[] ids = [.. Enumerable.Range(0, 20).Select(i => $"b{i}")];
        Array.ForEach(ids, id => _other.On($"GET /v1/batches/{id}", Answer.Json(Good)));
        List<string> warnings = [];
        BatchClient client = Clients.For(_server, alternate: _other.BaseUri, warn: warnings.Add);
        await Task.WhenAll(ids.Select(id => client.GetBatchAsync(id)));
        Assert.Single(warnings);
        Assert.Equal(20, _other.Requests.Count);
    }

    [Fact]
    public async Task An_address_that_the_user_chose_is_not_switched()
    {
        ServiceException exception = await Assert.ThrowsAsync<ServiceException>(() => Clients.For(_server).GetBatchAsync("b"));
        Assert.Equal(ServiceErrorKind.NotSupportedByService, exception.Kind);
        Assert.Null(new ConnectionResolver(_ => "key").Resolve(new Uri("https://api.inference.net/v1"), null, null, null).AlternateUri);
        Assert.Equal(
            new Uri("https://batch.inference.net/v1"), new ConnectionResolver(name => name == "INFERENCE_API_KEY" ? "key" : null).Resolve(null, null, null, null).AlternateUri);
    }

    [Fact]
    public void Without_a_key_only_this_machine_is_called()
    {
        var resolver = new ConnectionResolver(_ => null);
        Assert.False(resolver.Resolve(new Uri("http://localhost:1/v1"), null, null, null).HasApiKey);
        ServiceException exception = Assert.Throws<ServiceException>(() => resolver.Resolve(null, null, null, null));
        Assert.Equal(ServiceErrorKind.ApiKeyMissing, exception.Kind);
        Assert.Contains("INFERENCE_API_KEY", exception.Message, StringComparison.Ordinal);
        exception = Assert.Throws<ServiceException>(() => resolver.Resolve(null, null, "Groq", null));
        Assert.Contains("GROQ_API_KEY", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parameters_precede_session_environment_and_Inference_net()
    {
        var environment = new Dictionary<string, string> { ["INFERENCE_BASE_URL"] = "https://env.example/v1", ["INFERENCE_API_KEY"] = "env-key" };
        var resolver = new ConnectionResolver(environment.GetValueOrDefault);
        var session = new ServiceConnection(new Uri("https://session.example/v1"), ServiceProfile.Generic, "session-key");
        Assert.Equal(new Uri("https://given.example/v1"), resolver.Resolve(new Uri("https://given.example/v1"), "k", null, session).BaseUri);
        Assert.Same(session, resolver.Resolve(null, null, null, session));
        Assert.Equal(new Uri("https://env.example/v1"), resolver.Resolve(null, null, null, null).BaseUri);
        environment.Remove("INFERENCE_BASE_URL");
        Assert.Equal(new Uri("https://api.inference.net/v1"), resolver.Resolve(null, null, null, null).BaseUri);
    }

    [Fact]
    public async Task The_key_of_a_session_is_not_sent_to_another_address()
    {
        var session = new ServiceConnection(new Uri("https://session.example/v1"), ServiceProfile.Generic, "session-key");
        _server.On("GET /v1/batches/b", Answer.Json(Good));
        ServiceConnection connection = new ConnectionResolver(name => name == "INFERENCE_API_KEY" ? "env-key" : null).Resolve(_server.BaseUri, null, null, session);
        await new BatchClient(connection, _time).GetBatchAsync("b");
        Assert.Equal("Bearer env-key", Assert.Single(_server.Requests).Header("Authorization"));
    }

    [Theory]
    [InlineData("https://x.openai.azure.com/openai/v1", "AzureOpenAI")]
    [InlineData("https://API.GROQ.COM/openai/v1", "Groq")]
    [InlineData("https://batch.inference.net/v1", "InferenceNet")]
    [InlineData("https://api.together.xyz/v1", "Together")]
    [InlineData("https://api.studio.nebius.com/v1", "Nebius")]
    [InlineData("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "ModelStudio")]
    [InlineData("https://ws1.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1", "ModelStudio")]
    [InlineData("https://openai.azure.com.example.org/v1", "Generic")]
    [InlineData("https://example.org/v1", "Generic")]
    [InlineData("http://127.0.0.1:8421/v1", "Generic")]
    public void A_known_host_has_its_own_profile(string address, string name) => Assert.Equal(name, ServiceProfile.ForAddress(new Uri(address)).Name);

    [Theory]
    [InlineData("o1", true)]
    [InlineData("o3-mini-2025-01-31", true)]
    [InlineData("O4-Mini", true)]
    [InlineData("o3mini", true)]
    [InlineData("gpt-5", true)]
    [InlineData("gpt-5.1-codex", true)]
    [InlineData("gpt-6", true)]
    [InlineData("ft:o4-mini-2025-04-16:org::id", true)]
    [InlineData("ft:gpt-4o-mini-2024-07-18:o3-team:gpt-5:id", false)]
    [InlineData("team_o3.prod", true)]
    [InlineData("prod-gpt5mini", true)]
    [InlineData("gpt_51", true)]
    [InlineData("gpt-4o", false)]
    [InlineData("gpt-4.1-mini", false)]
    [InlineData("gpt-35-turbo", false)]
    [InlineData("gpt-41", false)]
    [InlineData("gpt-oss-120b", false)]
    [InlineData("proto1", false)]
    [InlineData("o200k", false)]
    [InlineData("openai/gpt-5", false)]
    [InlineData("deepseek-r1", false)]
    [InlineData("ft:", false)]
    [InlineData("", false)]
    public void The_name_of_a_reasoning_model_is_recognized(string model, bool isReasoning) => Assert.Equal(isReasoning, ServiceProfile.IsReasoningModel(model));

    [Fact]
    public void Only_OpenAI_and_Azure_refuse_max_tokens_for_reasoning_models() =>
        Assert.Equal(["OpenAI", "AzureOpenAI"], ServiceProfile.All.Append(ServiceProfile.Generic).Where(profile => profile.ReasoningModelsRefuseMaxTokens).Select(profile => profile.Name));

    [Fact]
    public void The_profile_of_the_chosen_service_needs_no_key()
    {
        var environment = new Dictionary<string, string>();
        var resolver = new ConnectionResolver(environment.GetValueOrDefault);
        Assert.Null(resolver.FindProfile(null, null));
        environment["INFERENCE_BASE_URL"] = "not an address";
        Assert.Null(resolver.FindProfile(null, null));
        environment["INFERENCE_BASE_URL"] = "https://api.groq.com/openai/v1";
        Assert.Equal("Groq", resolver.FindProfile(null, null)?.Name);
        var session = new ServiceConnection(new Uri("http://127.0.0.1:1/v1"), ServiceProfile.Local, null);
        Assert.Equal("Local", resolver.FindProfile(null, session)?.Name);
        Assert.Equal("Local", resolver.FindProfile(new Uri("http://127.0.0.1:1/v1/"), session)?.Name);
        Assert.Equal("OpenAI", resolver.FindProfile(new Uri("https://api.openai.com/v1"), session)?.Name);
        Assert.Null(resolver.FindProfile(new Uri("relative", UriKind.Relative), session));
    }

    [Theory]
    [InlineData("ftp://example.org")]
    [InlineData("file:///tmp")]
    public void Only_http_addresses_are_valid(string address) =>
        Assert.Throws<ArgumentException>(() => new ServiceConnection(new Uri(address), ServiceProfile.Generic, "k"));

    [Fact]
    public void No_property_and_no_text_contains_the_key()
    {
        var connection = new ServiceConnection(
            _server.BaseUri, ServiceProfile.Generic, Clients.Key, new Dictionary<string, string> { ["X-Secret"] = "hidden-value" });
        string seen = connection + string.Join('|', typeof(ServiceConnection).GetProperties().Select(property => property.GetValue(connection)))
            + string.Join('|', connection.HeaderNames);
        Assert.DoesNotContain(Clients.Key, seen, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden-value", seen, StringComparison.Ordinal);
        Assert.Contains("X-Secret", seen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_trailing_slash_makes_no_difference()
    {
        _server.On("GET /v1/batches/b", Answer.Json(Good));
        await new BatchClient(new ServiceConnection(new Uri(_server.BaseUri + "/"), ServiceProfile.Generic, null), _time).GetBatchAsync("b");
        Assert.Equal(["GET /v1/batches/b"], _server.Asked);
    }
}
