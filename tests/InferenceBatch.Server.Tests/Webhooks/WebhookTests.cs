using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Server.Webhooks;
using Microsoft.AspNetCore.Http;

namespace InferenceBatch.Server.Tests.Webhooks;

/// <summary>The events for the end of batches, from the service to a receiver.</summary>
public sealed class WebhookTests
{
    private const string Secret = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";
    private const string NextSecret = "whsec_c2VjcmV0LWFmdGVyLXRoZS1maXJzdA==";

    /// <summary>Checks the verifier of the other tests with the test vector that OpenAI publishes.</summary>
    [Fact]
    public void The_verifier_agrees_with_the_published_vector()
    {
        byte[] body = Encoding.UTF8.GetBytes(
            """{"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_123"}}""");
        var headers = new HeaderDictionary
        {
            ["webhook-id"] = "wh_685c059ae39c8190af8c71ed1022a24d",
            ["webhook-timestamp"] = "1750861210",
            ["webhook-signature"] = "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=",
        };
        Assert.True(SignatureCheck.ByHand(Secret, headers, body));
        Assert.False(SignatureCheck.ByHand(NextSecret, headers, body));
        body[3] ^= 1;
        Assert.False(SignatureCheck.ByHand(Secret, headers, body));
    }

    [Theory]
    [InlineData("completed")]
    [InlineData("failed")]
    [InlineData("expired")]
    [InlineData("cancelled")]
    public async Task Each_end_sends_an_event_with_the_batch(string end)
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync();
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => end == "completed" ? call.OkAsync() : call.StallAsync());
        await using TestService service = await TestService.StartAsync(settings => settings with
        {
            Upstream = upstream.Address,
            Webhooks = new WebhookSettings { AllowInsecure = true, Secrets = [Secret, NextSecret] },
            Engine = settings.Engine with
            {
                CompletionWindow = end == "expired" ? TimeSpan.FromMilliseconds(200) : TimeSpan.FromHours(24),
                CancelGrace = TimeSpan.Zero,
            },
        });
        string id = await service.Api.SubmitAsync(end == "failed" ? "{\n" : Requests.File(2), webhookUrl: receiver.Url);
        if (end == "cancelled")
        {
            await service.Api.CancelAsync(id);
        }

        JsonElement batch = await service.Api.EndAsync(id);
        Assert.Equal(end, batch.GetProperty("status").GetString());
        WebhookReceiver.Message message = await receiver.NextAsync();
        Assert.Equal(("POST", "/hook"), (message.Method, message.Path));
        Assert.Equal("application/json", message.Headers.ContentType);
        JsonElement body = JsonDocument.Parse(message.Body).RootElement;
        Assert.Equal(["id", "object", "type", "created_at", "data"], body.EnumerateObject().Select(property => property.Name));
        Assert.Equal("event", body.GetProperty("object").GetString());
        Assert.Equal("batch." + end, body.GetProperty("type").GetString());
        Assert.Equal(message.Id, body.GetProperty("id").GetString());
        Assert.StartsWith("evt_", message.Id, StringComparison.Ordinal);
        Assert.Equal(batch.GetProperty(end + "_at").GetInt64(), body.GetProperty("created_at").GetInt64());
        Assert.Equal(batch.GetRawText(), body.GetProperty("data").GetRawText());

        Assert.True(SignatureCheck.ByHand(Secret, message.Headers, message.Body));
        Assert.True(SignatureCheck.ByHand(NextSecret, message.Headers, message.Body));
        // The package stops at the first signature that does not match.
        SignatureCheck.ByPackage(Secret, message.Headers, message.Body);
    }

    [Fact]
    public async Task Without_a_secret_an_event_has_an_id_but_no_signature()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync();
        await using TestService service = await TestService.StartAsync(settings => settings with { Webhooks = new WebhookSettings { AllowInsecure = true } });
        await service.Api.SubmitAsync(Requests.File(1), webhookUrl: receiver.Url);
        WebhookReceiver.Message message = await receiver.NextAsync();
        Assert.False(message.Headers.ContainsKey("webhook-signature"));
        Assert.StartsWith("evt_", message.Id, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_batch_without_a_webhook_address_sends_no_event()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync();
        await using TestService service = await TestService.StartAsync(settings => settings with { Webhooks = new WebhookSettings { AllowInsecure = true } });
        await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(1)));
        string told = await service.Api.SubmitAsync(Requests.File(1), webhookUrl: receiver.Url);
        WebhookReceiver.Message message = await receiver.NextAsync();
        Assert.Equal(told, JsonDocument.Parse(message.Body).RootElement.GetProperty("data").GetProperty("id").GetString());
        Assert.Single(receiver.All);
    }

    /// <summary>An event contains the first hundred errors and the number of further ones, so that it stays small.</summary>
    [Fact]
    public async Task An_event_has_only_the_first_errors()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync();
        await using TestService service = await TestService.StartAsync(settings => settings with { Webhooks = new WebhookSettings { AllowInsecure = true } });
        await service.Api.SubmitAsync(string.Concat(Enumerable.Repeat("{\n", 150)), webhookUrl: receiver.Url);
        WebhookReceiver.Message message = await receiver.NextAsync();
        JsonElement errors = JsonDocument.Parse(message.Body).RootElement.GetProperty("data").GetProperty("errors").GetProperty("data");
        Assert.Equal(101, errors.GetArrayLength());
        Assert.Equal("more_issues", errors[100].GetProperty("code").GetString());
        Assert.Contains("50", errors[100].GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, "http://hooks.example/x")]
    [InlineData(false, "ftp://hooks.example/x")]
    [InlineData(false, "hooks.example")]
    [InlineData(false, "https://localhost/x")]
    [InlineData(false, "https://localhost./x")]
    [InlineData(false, "https://foo.localhost/x")]
    [InlineData(false, "https://FOO.LocalHost./x")]
    [InlineData(false, "https://127.0.0.1./x")]
    [InlineData(false, "https://127.0.0.1/x")]
    [InlineData(false, "https://2130706433/x")]
    [InlineData(false, "https://0x7f.1/x")]
    [InlineData(false, "https://[::1]/x")]
    [InlineData(false, "https://[::ffff:10.0.0.1]/x")]
    [InlineData(false, "https://169.254.169.254/latest/meta-data")]
    [InlineData(false, "https://user:word@hooks.example/x")]
    [InlineData(true, "http://169.254.169.254/latest/meta-data")]
    [InlineData(true, "http://[fd00:ec2::254]/latest/meta-data")]
    [InlineData(true, "ftp://127.0.0.1/x")]
    public async Task An_invalid_address_is_refused_at_once(bool allowInsecure, string url)
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { Webhooks = new WebhookSettings { AllowInsecure = allowInsecure } });
        string file = await service.Api.UploadAsync(Requests.File(1));
        using HttpResponseMessage response = await service.Api.Http.PostAsJsonAsync(
            "batches", new { input_file_id = file, endpoint = "/v1/chat/completions", completion_window = "24h", webhook_url = url });
        JsonElement error = (await ApiCaller.ReadAsync(response, 400)).GetProperty("error");
        Assert.Equal(("webhook_url", "invalid_value"), (error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
    }

    /// <summary>The message names the option only if the option would allow the address.</summary>
    [Theory]
    [InlineData("http://hooks.example/x", true)]
    [InlineData("https://localhost/x", true)]
    [InlineData("https://10.0.0.1/x", true)]
    [InlineData("https://169.254.169.254/x", false)]
    [InlineData("https://user:word@hooks.example/x", false)]
    public void A_refusal_names_the_option_that_would_allow_the_address(string url, bool isNamed) =>
        Assert.Equal(isNamed, new WebhookTargets(false).ProblemOf(url)!.Contains("Start-BatchServer -AllowInsecureWebhooks", StringComparison.Ordinal));

    [Theory]
    [InlineData(false, "https://hooks.example/x?token=1")]
    [InlineData(false, "https://93.184.216.34:8443/x")]
    [InlineData(false, "https://[2606:2800:220:1::1]/x")]
    [InlineData(true, "http://localhost:9/x")]
    [InlineData(true, "http://10.0.0.1/x")]
    public void A_valid_address_is_accepted(bool allowInsecure, string url) => Assert.Null(new WebhookTargets(allowInsecure).ProblemOf(url));

    /// <summary>After kills between attempts and around the end of a batch, each batch has exactly one event, whose ID does not change.</summary>
    [Fact]
    public async Task Events_survive_kills()
    {
        bool isUp = false;
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) =>
        {
            context.Response.StatusCode = Volatile.Read(ref isUp) ? 204 : 503;
            return Task.CompletedTask;
        });
        using var folder = new TempFolder();
        var ids = new List<string>();
        for (int round = 0; round < 4; round++)
        {
            using ServerProcess server = await ServeAsync(folder);
            using var api = new ApiCaller(server.Address);
            ids.Add(await api.SubmitAsync(Requests.File(20), webhookUrl: receiver.Url));
            if (round == 0)
            {
                await receiver.NextAsync();
            }
            else
            {
                await Task.Delay(Random.Shared.Next(60));
            }

            await server.KillAsync();
        }

        int before = receiver.All.Count;
        Volatile.Write(ref isUp, true);
        using (ServerProcess last = await ServeAsync(folder))
        {
            using var api = new ApiCaller(last.Address);
            foreach (string id in ids)
            {
                await api.EndAsync(id);
            }

            while (receiver.All.Skip(before).Select(message => message.Id).Distinct().Count() < ids.Count)
            {
                await receiver.NextAsync();
            }

            Assert.Equal(0, await last.TerminateAsync());
        }

        Assert.Equal(
            ids.Order(),
            receiver.All.GroupBy(message => message.Id).Select(tries =>
            {
                Assert.Single(tries.Select(message => Convert.ToBase64String(message.Body)).Distinct());
                return JsonDocument.Parse(tries.First().Body).RootElement.GetProperty("data").GetProperty("id").GetString()!;
            }).Order());
        Assert.All(receiver.All, message => Assert.True(SignatureCheck.ByHand(Secret, message.Headers, message.Body)));

        int accepted = receiver.All.Count;
        using ServerProcess idle = await ServeAsync(folder);
        using var caller = new ApiCaller(idle.Address);
        await caller.SubmitAsync(Requests.File(1), webhookUrl: receiver.Url);
        await receiver.NextAsync();
        Assert.Equal(accepted + 1, receiver.All.Count);
    }

    private static async Task<ServerProcess> ServeAsync(TempFolder folder)
    {
        ServerProcess server = ServerProcess.Start(
            ["serve", "--urls", "http://127.0.0.1:0", "--data", folder.Path, "--webhook-secret-env", "HOOK_SECRET", "--allow-insecure-webhooks"],
            ("HOOK_SECRET", Secret));
        await server.ReadyAsync();
        return server;
    }
}
