using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>Calls the API like any HTTP client.</summary>
internal sealed class ApiCaller : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public ApiCaller(Uri service, string? key = null, string path = "/v1/")
    {
        Http = new HttpClient(Documented) { BaseAddress = new Uri(service, path) };
        if (key is not null)
        {
            Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
    }

    public HttpClient Http { get; }

    /// <summary>The handler of all requests, which compares each response with docs/openapi.yaml.</summary>
    public DocumentedHandler Documented { get; } = new();

    public async Task<string> UploadAsync(string jsonl) => await UploadAsync(Encoding.UTF8.GetBytes(jsonl));

    public async Task<string> UploadAsync(byte[] bytes)
    {
        using var form = new MultipartFormDataContent();
        using var purpose = new StringContent("batch");
        using var file = new ByteArrayContent(bytes);
        form.Add(purpose, "purpose");
        form.Add(file, "file", "in.jsonl");
        using HttpResponseMessage response = await Http.PostAsync("files", form);
        return (await ReadAsync(response, 200)).GetProperty("id").GetString()!;
    }

    public async Task<JsonElement> CreateAsync(string fileId, string endpoint = "/v1/chat/completions", string? webhookUrl = null)
    {
        using HttpResponseMessage response = await Http.PostAsJsonAsync(
            "batches", new { input_file_id = fileId, endpoint, completion_window = "24h", webhook_url = webhookUrl });
        return await ReadAsync(response, 200);
    }

    /// <summary>Uploads a file and creates a batch; returns the ID of the batch.</summary>
    public async Task<string> SubmitAsync(string jsonl, string endpoint = "/v1/chat/completions", string? webhookUrl = null) =>
        (await CreateAsync(await UploadAsync(jsonl), endpoint, webhookUrl)).GetProperty("id").GetString()!;

    public async Task<JsonElement> GetAsync(string path, int status = 200)
    {
        using HttpResponseMessage response = await Http.GetAsync(path);
        return await ReadAsync(response, status);
    }

    public async Task<JsonElement> CancelAsync(string id, int status = 200)
    {
        using HttpResponseMessage response = await Http.PostAsync($"batches/{id}/cancel", null);
        return await ReadAsync(response, status);
    }

    /// <summary>Requests the batch until the condition is met.</summary>
    public async Task<JsonElement> UntilAsync(string id, Func<JsonElement, bool> isReached)
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (true)
        {
            JsonElement batch = await GetAsync($"batches/{id}");
            if (isReached(batch))
            {
                return batch;
            }

            Assert.False(patience.IsCancellationRequested, $"The batch did not reach the expected state in time: {batch}");
            await Task.Delay(10);
        }
    }

    /// <summary>Requests the batch until it has ended.</summary>
    public Task<JsonElement> EndAsync(string id) => UntilAsync(
        id, batch => batch.GetProperty("status").GetString() is "completed" or "failed" or "expired" or "cancelled");

    /// <summary>Requests the batch until this number of lines have a result.</summary>
    public Task<JsonElement> DoneAsync(string id, int lines) => UntilAsync(
        id, batch => batch.GetProperty("request_counts") is var counts
            && counts.GetProperty("completed").GetInt32() + counts.GetProperty("failed").GetInt32() >= lines);

    /// <summary>Returns the parsed lines of a result file; an empty list for a null ID.</summary>
    public async Task<List<JsonElement>> LinesAsync(JsonElement fileId)
    {
        if (fileId.ValueKind == JsonValueKind.Null)
        {
            return [];
        }

        string text = await Http.GetStringAsync($"files/{fileId.GetString()}/content");
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
    }

    public static async Task<JsonElement> ReadAsync(HttpResponseMessage response, int status)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode} {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.StartsWith("req_", response.Headers.GetValues("x-request-id").Single(), StringComparison.Ordinal);
        return JsonDocument.Parse(text).RootElement;
    }

    public void Dispose() => Http.Dispose();
}
