using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;
using InferenceBatch.Waiting;

namespace InferenceBatch.Support;

/// <summary>A service of one dialect, and a client with its profile: send a file, create a batch, wait for it, read the results.</summary>
internal sealed class LifeCycle : IDisposable
{
    public const string Chat = "/v1/chat/completions";

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"dialect-{Guid.NewGuid():N}.jsonl");

    public LifeCycle(string provider, params string[] lines)
    {
        Profile = ServiceProfile.Find(provider)!;
        Client = Clients.For(Server, Time, Profile);
        File.WriteAllLines(_path, lines.Length > 0 ? lines : [Line("a"), Line("b")]);
    }

    public FaultServer Server { get; } = new();

    public FakeTime Time { get; } = new();

    public ServiceProfile Profile { get; }

    public BatchClient Client { get; init; }

    public List<Batch> Seen { get; } = [];

    public static string Line(string id, string url = Chat) =>
        "{\"custom_id\":\"" + id + "\",\"method\":\"POST\",\"url\":\"" + url + "\",\"body\":{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"input\":\"i\"}}";

    /// <summary>A result line as OpenAI's document has it.</summary>
    public static string Answered(string id, string text) =>
        "{\"id\":\"batch_req_" + id + "\",\"custom_id\":\"" + id + "\",\"response\":{\"status_code\":200,\"request_id\":\"r\",\"body\":"
        + "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" + text + "\"}}]}},\"error\":null}\n";

    public static Behaviour Content(params string[] lines) => Answer.Whole(200, "application/octet-stream", Encoding.UTF8.GetBytes(string.Concat(lines)));

    public Lines.BatchFileReport Check() => new Lines.FileValidator(Profile.RulesFor()).Validate(_path);

    public Task<BatchFile> UploadAsync() => Client.UploadFileAsync(_path, "in.jsonl");

    public Task<Batch> CreateAsync(string fileId, string endpoint = Chat) =>
        Client.CreateBatchAsync(new NewBatch { InputFileId = fileId, Endpoint = endpoint, CompletionWindow = Profile.CompletionWindows[0] });

    public async Task<Batch> WaitAsync(Batch batch) =>
        Assert.Single(await new BatchWatcher(Client) { OnPolled = Seen.Add }.WatchAsync([(batch.Id, batch)]).ToListAsync());

    public Task<List<BatchResult>> ResultsAsync(Batch batch) => new ResultReader().ReadAsync(Client, batch).ToListAsync();

    /// <summary>All of it: checks the file, sends it, creates the batch, waits, reads; gives the ended batch and the results by id.</summary>
    public async Task<(Batch Batch, Dictionary<string, BatchResult> Results)> RunAsync(string endpoint = Chat)
    {
        Assert.DoesNotContain(Check().Issues, issue => issue.Severity == Lines.IssueSeverity.Error);
        BatchFile file = await UploadAsync();
        Batch ended = await WaitAsync(await CreateAsync(file.Id, endpoint));
        return (ended, (await ResultsAsync(ended)).ToDictionary(result => result.CustomId));
    }

    /// <summary>The text of a field of the form the file was sent with; null when the form has none of that name.</summary>
    public string? Field(string name)
    {
        string form = Server.Requests.First(request => request.Header("Content-Type")?.StartsWith("multipart", StringComparison.Ordinal) == true).BodyText;
        string head = $"Content-Disposition: form-data; name=\"{name}\"\r\n\r\n";
        int at = form.IndexOf(head, StringComparison.Ordinal);
        return at < 0 ? null : form[(at + head.Length)..].Split("\r\n")[0];
    }

    public Exchange Request(string route) => Server.Requests.First(request => $"{request.Method} {request.Path}" == route);

    public void Dispose()
    {
        Server.Dispose();
        File.Delete(_path);
    }
}
