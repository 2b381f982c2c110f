using System.Net.Http.Json;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>The built service, in a process and a data folder of its own, and the few calls the bench makes.</summary>
internal sealed class Service : IDisposable
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(20);

    private readonly Child _process;
    private readonly HttpClient _client;
    private readonly string _dataPath;

    private Service(Child process, Uri address, string dataPath)
    {
        _process = process;
        _client = new HttpClient { BaseAddress = address };
        _dataPath = dataPath;
    }

    public Uri Address => _client.BaseAddress!;

    public long PeakBytes => _process.PeakBytes;

    public static async Task<Service> StartAsync(Settings settings, string folder, Uri upstream, int concurrency)
    {
        string data = Path.Combine(folder, "data-" + Guid.NewGuid().ToString("N"));
        (Child process, Uri address) = await Child.ServeAsync(
            [.. settings.Service, "serve", "--urls", "http://127.0.0.1:0", "--data", data, "--upstream", upstream.AbsoluteUri, "--concurrency", $"{concurrency}"]);
        return new Service(process, address, data);
    }

    /// <summary>Uploads a batch file and gives its id.</summary>
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

    /// <summary>Runs a batch to its end and gives the id of its output file.</summary>
    /// <exception cref="InvalidOperationException">Not every line was answered.</exception>
    public async Task<string> RunAsync(string fileId, int lines)
    {
        using HttpResponseMessage response = await _client.PostAsJsonAsync(
            "batches", new { input_file_id = fileId, endpoint = "/v1/chat/completions", completion_window = "24h" });
        response.EnsureSuccessStatusCode();
        JsonElement batch = await response.Content.ReadFromJsonAsync<JsonElement>();
        string address = "batches/" + batch.GetProperty("id").GetString();
        while (batch.GetProperty("status").GetString() is "validating" or "in_progress" or "finalizing")
        {
            await Task.Delay(s_poll);
            batch = await _client.GetFromJsonAsync<JsonElement>(address);
        }

        return batch.GetProperty("status").GetString() == "completed" && batch.GetProperty("request_counts").GetProperty("completed").GetInt32() == lines
            ? batch.GetProperty("output_file_id").GetString()!
            : throw new InvalidOperationException($"The batch ended otherwise than with {lines} answers: {batch}");
    }

    /// <summary>Reads a file's content to its end.</summary>
    public async Task DownloadAsync(string fileId)
    {
        using Stream content = await _client.GetStreamAsync($"files/{fileId}/content");
        await content.CopyToAsync(Stream.Null);
    }

    public void Dispose()
    {
        _client.Dispose();
        _process.Dispose();
        Directory.Delete(_dataPath, recursive: true);
    }
}
