using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>Runs a life cycle with secrets and errors. The log must not contain the secrets.</summary>
public sealed class LogTests
{
    private const string Key = "sk-SECRET-api-key";
    private const string UpstreamKey = "sk-SECRET-upstream-key";

    [Fact]
    public async Task The_log_contains_no_prompt_answer_key_or_name()
    {
        using var folder = new TempFolder();
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt switch
        {
            _ when call.Prompt.EndsWith("400", StringComparison.Ordinal) => call.AnswerAsync(400, """{"error":{"message":"SECRET-answer"}}"""),
            _ when call.Prompt.EndsWith("html", StringComparison.Ordinal) => call.AnswerAsync(200, "<p>SECRET-html", "text/html"),
            _ when call.Prompt.EndsWith("cut", StringComparison.Ordinal) => call.DropInsideAsync(),
            _ when call.Prompt.EndsWith("drop", StringComparison.Ordinal) => call.Drop(),
            _ when call.Prompt.EndsWith("500", StringComparison.Ordinal) => call.AnswerAsync(500, "SECRET-500"),
            _ when call.Prompt.EndsWith("odd", StringComparison.Ordinal) => call.AnswerAsync(200, "{\"usage\":\"SECRET-usage\",\"choices\":"),
            _ => call.OkAsync(),
        });
        using ServerProcess server = ServerProcess.Start(
            [
                "serve", "--urls", "http://127.0.0.1:0", "--data", folder.Path, "--upstream", upstream.Address, "--max-attempts", "2",
                "--api-key-env", "TEST_KEYS", "--upstream-key-env", "TEST_UPSTREAM_KEY",
            ],
            ("TEST_KEYS", Key + "," + "sk-SECRET-other-key"), ("TEST_UPSTREAM_KEY", UpstreamKey));
        await server.ReadyAsync();
        string completed, failed;
        using (var api = new ApiCaller(server.Address, Key))
        {
            string[] ends = ["ok", "400", "html", "cut", "drop", "500", "odd"];
            string input = await UploadAsync(api, string.Join('\n', ends.Select(end => Requests.Chat("SECRET-id-" + end, "SECRET-prompt-" + end))));
            completed = await CreateAsync(api, input, 200);
            JsonElement batch = await api.EndAsync(completed);
            Assert.Equal("completed", batch.GetProperty("status").GetString());
            failed = await CreateAsync(api, await UploadAsync(api, "SECRET-no-json\n{\"custom_id\":\"SECRET-id\"}"), 200);
            await api.EndAsync(failed);
            await CreateAsync(api, "file-SECRET", 400);
            await CauseErrorsAsync(api, server.Address);

            // The log entries for a failing disk must not contain the text of callers either.
            string output = batch.GetProperty("output_file_id").GetString()!;
            File.Delete(Path.Combine(folder.Path, "files", output));
            await api.GetAsync($"files/{output}/content?offset=0&SECRET-query=1", 507);
            File.Delete(Path.Combine(folder.Path, "files", input));
            await api.EndAsync(await CreateAsync(api, input, 200));
        }

        Assert.Equal(0, await server.TerminateAsync());
        string log = await server.Errors;
        Assert.Contains($"{completed}: completed", log, StringComparison.Ordinal);
        Assert.Contains($"{failed}: failed", log, StringComparison.Ordinal);
        Assert.Contains("GET /v1/files/{id}/content failed", log, StringComparison.Ordinal);
        Assert.DoesNotContain("SECRET", log, StringComparison.OrdinalIgnoreCase);
    }

    private static async Task<string> UploadAsync(ApiCaller api, string content)
    {
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new StringContent(content), "file", "SECRET-name.jsonl" } };
        using HttpResponseMessage response = await api.Http.PostAsync("files", form);
        return (await ApiCaller.ReadAsync(response, 200)).GetProperty("id").GetString()!;
    }

    private static async Task<string> CreateAsync(ApiCaller api, string file, int status)
    {
        using HttpResponseMessage response = await api.Http.PostAsJsonAsync("batches?SECRET-query=1", new
        {
            input_file_id = file,
            endpoint = "/v1/chat/completions",
            completion_window = "24h",
            metadata = new Dictionary<string, string> { ["SECRET-metadata"] = "SECRET-value" },
        });
        JsonElement answer = await ApiCaller.ReadAsync(response, status);
        return status == 200 ? answer.GetProperty("id").GetString()! : "";
    }

    private static async Task CauseErrorsAsync(ApiCaller api, Uri service)
    {
        await api.GetAsync("files/SECRET-path", 404);
        await api.GetAsync("SECRET-route", 404);
        await api.GetAsync("batches?after=SECRET-after", 400);
        using (var stranger = new ApiCaller(service, "sk-SECRET-wrong-key"))
        {
            await stranger.GetAsync("models", 401);
        }

        foreach ((string path, string type) in new[] { ("batches", "application/json"), ("files", "multipart/form-data; boundary=SECRET-boundary"), ("files", "text/SECRET") })
        {
            using var content = new ByteArrayContent(Encoding.UTF8.GetBytes("{\"SECRET-field\":\"SECRET-body"));
            content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
            using HttpResponseMessage response = await api.Http.PostAsync(path, content);
            Assert.InRange((int)response.StatusCode, 400, 415);
        }

        await RawConnection.AskAsync(service, "SECRET-method SECRET-target\r\n\r\n");
        await RawConnection.AskAsync(service, "GET /v1/files HTTP/1.1\r\nHost: SECRET\r\nSECRET-header\r\n\r\n");
    }
}
