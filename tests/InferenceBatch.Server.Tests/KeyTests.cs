using System.Net.Http.Json;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

public sealed class KeyTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("key-3")]
    [InlineData("key-1,key-2")]
    public async Task Without_a_valid_key_every_route_is_401(string? key)
    {
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1", "key-2"] });
        using var api = new ApiCaller(service.Address, key);
        foreach (string path in new[] { "files", "batches", "models", "batches/batch_x", "files/file-x/content", "nothing" })
        {
            JsonElement error = (await api.GetAsync(path, 401)).GetProperty("error");
            Assert.Equal("invalid_api_key", error.GetProperty("code").GetString());
            Assert.DoesNotContain("key-", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }

        await api.GetAsync("/healthz");
    }

    [Fact]
    public async Task Each_key_sees_only_its_own_files_and_batches()
    {
        using var folder = new TempFolder();
        string file, id, output;
        await using (TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1", "key-2"] }, folder: folder))
        {
            using var first = new ApiCaller(service.Address, "key-1");
            using var second = new ApiCaller(service.Address, "key-2");
            file = await first.UploadAsync(Requests.File(1));
            id = (await first.CreateAsync(file)).GetProperty("id").GetString()!;
            output = (await first.EndAsync(id)).GetProperty("output_file_id").GetString()!;

            foreach (string path in new[] { $"files/{file}", $"files/{file}/content", $"files/{output}/content", $"batches/{id}" })
            {
                await first.Http.GetStringAsync(path);
                await second.GetAsync(path, 404);
            }

            await second.CancelAsync(id, 404);
            using HttpResponseMessage delete = await second.Http.DeleteAsync($"files/{file}");
            await ApiCaller.ReadAsync(delete, 404);
            using HttpResponseMessage create = await second.Http.PostAsJsonAsync(
                "batches", new { input_file_id = file, endpoint = "/v1/chat/completions", completion_window = "24h" });
            Assert.Equal("file_not_found", (await ApiCaller.ReadAsync(create, 400)).GetProperty("error").GetProperty("code").GetString());
            Assert.Equal(0, (await second.GetAsync("files")).GetProperty("data").GetArrayLength());
            Assert.Equal(0, (await second.GetAsync("batches")).GetProperty("data").GetArrayLength());
            await second.GetAsync($"batches?after={id}", 400);
        }

        await using TestService again = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-2", "key-1"] }, folder: folder);
        using var same = new ApiCaller(again.Address, "key-1");
        Assert.Equal("completed", (await same.GetAsync($"batches/{id}")).GetProperty("status").GetString());
        await same.Http.GetStringAsync($"files/{output}/content");
    }

    /// <summary>Tests every route of the document that has an ID.</summary>
    [Fact]
    public async Task Objects_of_another_key_are_404_like_unknown_ones()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 1" ? call.OkAsync() : call.StallAsync());
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1", "key-2"], Upstream = upstream.Address });
        using var first = new ApiCaller(service.Address, "key-1");
        using var second = new ApiCaller(service.Address, "key-2");
        string running = await first.SubmitAsync(Requests.File(2));
        JsonElement batch = await first.DoneAsync(running, 1);
        string done = await first.SubmitAsync(Requests.File(1));
        await first.EndAsync(done);
        string[] files = [batch.GetProperty("input_file_id").GetString()!, batch.GetProperty("output_file_id").GetString()!];
        foreach (string operation in ApiDocument.OfService.Operations.Where(operation => operation.Contains("{id}", StringComparison.Ordinal)))
        {
            string[] ids = operation.Contains("/files/", StringComparison.Ordinal) ? files : [running, done];
            foreach (string id in ids)
            {
                (int status, string answer) = await AskAsync(second, operation, id);
                Assert.Equal((404, (await AskAsync(second, operation, "none")).Answer), (status, answer));
            }
        }

        foreach (string list in new[] { "files", "batches" })
        {
            Assert.Equal(0, (await second.GetAsync(list)).GetProperty("data").GetArrayLength());
            await second.GetAsync($"{list}?after={(list == "files" ? files[0] : done)}", 400);
        }

        await second.GetAsync("models", 502); // The models do not belong to a key. This upstream has none.
        Assert.Equal("in_progress", (await first.GetAsync($"batches/{running}")).GetProperty("status").GetString());
        Assert.Equal(3, (await first.GetAsync("files")).GetProperty("data").GetArrayLength());

        static async Task<(int Status, string Answer)> AskAsync(ApiCaller caller, string operation, string id)
        {
            using var request = new HttpRequestMessage(new HttpMethod(operation.Split(' ')[0]), operation.Split(' ')[1].Replace("{id}", id, StringComparison.Ordinal));
            using HttpResponseMessage response = await caller.Http.SendAsync(request);
            return ((int)response.StatusCode, (await response.Content.ReadAsStringAsync()).Replace(id, "ID", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task No_key_is_written_to_the_data_folder()
    {
        using var folder = new TempFolder();
        const string Key = "a-key-that-would-be-found";
        await using (TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = [Key] }, folder: folder))
        {
            using var api = new ApiCaller(service.Address, Key);
            await api.EndAsync(await api.SubmitAsync(Requests.File(1)));
        }

        foreach (string path in Directory.GetFiles(folder.Path, "*", SearchOption.AllDirectories))
        {
            Assert.DoesNotContain(Key, await File.ReadAllTextAsync(path, System.Text.Encoding.Latin1), StringComparison.Ordinal);
        }
    }
}
