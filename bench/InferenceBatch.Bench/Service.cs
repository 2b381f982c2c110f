using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>The built service in a separate process with a separate data folder, and the API calls of the bench.</summary>
internal sealed class Service : IDisposable
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(20);

    private readonly string[] _command;
    private readonly string _dataPath;
    private Child _process = null!;
    private HttpClient _client = null!;

    private Service(string[] command, string dataPath)
    {
        _command = command;
        _dataPath = dataPath;
    }

    public Uri Address => _client.BaseAddress!;

    public long PeakBytes => _process.PeakBytes;

    public static async Task<Service> StartAsync(Settings settings, string folder, Uri upstream, int? concurrency, params string[] more)
    {
        string data = Path.Combine(folder, "data-" + Guid.NewGuid().ToString("N"));
        var service = new Service(
            [.. settings.Service, "serve", "--urls", "http://127.0.0.1:0", "--data", data, "--upstream", upstream.AbsoluteUri, "--concurrency", concurrency?.ToString(CultureInfo.InvariantCulture) ?? "auto", .. more], data);
        await service.RestartAsync();
        return service;
    }

    /// <summary>Sends SIGKILL.</summary>
    public void Kill()
    {
        _client.Dispose();
        _process.Dispose();
    }

    /// <summary>Restarts the process with the same data after <see cref="Kill"/>.</summary>
    public async Task RestartAsync()
    {
        (_process, Uri address) = await Child.ServeAsync(_command);
        _client = new HttpClient { BaseAddress = address };
    }

    /// <summary>Uploads a batch file and returns its ID.</summary>
    public async Task<string> UploadAsync(string path)
    {
        using var form = new MultipartFormDataContent
        {
            { new StringContent("batch"), "purpose" },
            { new StreamContent(File.OpenRead(path)), "file", "requests.jsonl" },
        };
        using HttpResponseMessage response = await _client.PostAsync("files", form);
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
    }

    /// <summary>Runs a batch until it ends, and returns the ID of its output file.</summary>
    /// <exception cref="InvalidOperationException">Some lines were not answered.</exception>
    public async Task<string> RunAsync(string fileId, int lines, TimeSpan? poll = null)
    {
        JsonElement batch = await RunAsync(fileId, poll ?? s_poll);
        return batch.GetProperty("status").GetString() == "completed" && Completed(batch) == lines
            ? batch.GetProperty("output_file_id").GetString()!
            : throw new InvalidOperationException($"The batch did not end with {lines} answers: {batch}");
    }

    /// <summary>Runs a batch until it ends with any status, and returns its counts.</summary>
    public async Task<(int Completed, int Failed)> CountAsync(string fileId)
    {
        JsonElement batch = await RunAsync(fileId, s_poll);
        return (Completed(batch), batch.GetProperty("request_counts").GetProperty("failed").GetInt32());
    }

    /// <summary>Creates a batch, and returns when so many lines are answered.</summary>
    public async Task RunToAsync(string fileId, int lines)
    {
        JsonElement batch = await CreateAsync(fileId);
        while (Completed(batch) < lines)
        {
            batch = await GetAsync(batch);
        }
    }

    /// <summary>Downloads the content of a file.</summary>
    public async Task DownloadAsync(string fileId)
    {
        using Stream content = await _client.GetStreamAsync($"files/{fileId}/content");
        await content.CopyToAsync(Stream.Null);
    }

    public void Dispose()
    {
        Kill();
        Directory.Delete(_dataPath, recursive: true);
    }

    private async Task<JsonElement> RunAsync(string fileId, TimeSpan poll)
    {
        JsonElement batch = await CreateAsync(fileId);
        while (batch.GetProperty("status").GetString() is "validating" or "in_progress" or "finalizing")
        {
            await Task.Delay(poll);
            batch = await GetAsync(batch);
        }

        return batch;
    }

    private async Task<JsonElement> CreateAsync(string fileId)
    {
        using HttpResponseMessage response = await _client.PostAsJsonAsync(
            "batches", new { input_file_id = fileId, endpoint = "/v1/chat/completions", completion_window = "24h" });
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    private Task<JsonElement> GetAsync(JsonElement batch) => _client.GetFromJsonAsync<JsonElement>("batches/" + batch.GetProperty("id").GetString());

    private static int Completed(JsonElement batch) => batch.GetProperty("request_counts").GetProperty("completed").GetInt32();
}
