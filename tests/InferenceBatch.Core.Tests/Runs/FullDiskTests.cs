using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Support;

namespace InferenceBatch.Runs;

/// <summary>A run with a full disk: it is reported as such, and the run can be resumed when there is room.</summary>
public sealed class FullDiskTests : IDisposable
{
    private const int Small = 128 * 1024;
    private const int Room = 16 * 1024 * 1024;

    private readonly FaultServer _server = new();
    private readonly List<Exception> _problems = [];

    public void Dispose() => _server.Dispose();

    [SmallDiskFact]
    public void A_failed_write_leaves_no_partial_line_in_the_journal()
    {
        using var disk = new SmallDisk(Small);
        string folder = Path.Combine(disk.Folder, "run");
        int written = 0;
        using (RunStore store = RunStore.Open(folder))
        {
            store.Begin(_server.BaseUri);
            FileUnwritableException exception = Assert.Throws<FileUnwritableException>(() =>
            {
                for (; written < 100; written++)
                {
                    store.AddParts(written + 1, [Part(folder, written, 'x')]);
                }
            });
            Assert.Contains("No space left", exception.Message, StringComparison.Ordinal);
            Assert.InRange(written, 2, 90);
            disk.Grow(Room);
            store.AddParts(written + 1, [Part(folder, written, 'y')]);
        }

        using RunStore again = RunStore.Open(folder);
        Assert.Equal(Enumerable.Repeat(1, written + 1), Enumerable.Range(1, written + 1).Select(attempt => again.PartsOf(attempt).Count));
        Assert.Empty(again.PartsOf(written + 2));
    }

    [SmallDiskFact]
    public async Task Results_without_room_are_downloaded_later_and_not_paid_for_again()
    {
        using var disk = new SmallDisk(Small);
        string folder = Path.Combine(disk.Folder, "run");
        byte[] lines = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(1, 50).Select(i =>
            "{\"custom_id\":\"r" + i + "\",\"response\":{\"status_code\":200,\"body\":{\"choices\":[{\"message\":{\"content\":\"" + new string('a', 8000) + "\"}}]}}}\n")));
        _server.On("POST /v1/files", Answer.Json("""{"id":"f"}"""))
            .On("POST /v1/batches", Answer.Json("""{"id":"b","status":"validating"}"""))
            .On("GET /v1/batches/b", Answer.Json("""{"id":"b","status":"completed","output_file_id":"o","request_counts":{"total":50,"completed":50,"failed":0}}"""))
            .On("GET /v1/files/o", Answer.Json($$"""{"id":"o","bytes":{{lines.Length}}}"""))
            .On("GET /v1/files/o/content", Answer.File(lines));

        Assert.Empty(await RunAsync(folder));
        Assert.IsType<FileUnwritableException>(Assert.Single(_problems));
        disk.Grow(Room);
        List<BatchResult> results = await RunAsync(folder);
        Assert.Equal(50, results.Count);
        Assert.All(results, result => Assert.Equal(8000, result.Text!.Length));
        Assert.Single(_server.Asked, "POST /v1/files");
        Assert.Single(_server.Asked, "POST /v1/batches");
    }

    [SmallDiskFact]
    public async Task Requests_without_room_are_reported_and_nothing_is_sent()
    {
        using var disk = new SmallDisk(Small);
        string folder = Path.Combine(disk.Folder, "run");
        using (RunStore store = RunStore.Open(folder))
        {
            store.Begin(_server.BaseUri);
            using var input = new RunInput(store, 1000, 10_000_000, deduplicate: false);
            Assert.Throws<FileUnwritableException>(() =>
            {
                for (int i = 1; i <= 100; i++)
                {
                    input.Add(Request(i, 8000));
                }

                input.Complete();
            });
        }

        // The same command starts again.
        disk.Grow(Room);
        _server.On("POST /v1/files", Answer.Json("nope", 400));
        await RunAsync(folder);
        Assert.Single(_server.Requests);
    }

    [SmallDiskFact]
    public void A_folder_that_cannot_be_created_is_not_reported_as_in_use()
    {
        using var disk = new SmallDisk(Small);
        Assert.Throws<FileUnwritableException>(() => RunStore.Open("/sys/no-such-run"));
        string folder = Path.Combine(disk.Folder, "run");
        using RunStore store = RunStore.Open(folder);
        Assert.Throws<RunStoreInUseException>(() => RunStore.Open(folder));
    }

    [SmallDiskFact]
    public void A_batch_file_without_room_leaves_nothing_behind()
    {
        using var disk = new SmallDisk(Small);
        using (var splitter = new FileSplitter(Path.Combine(disk.Folder, "out.jsonl"), 1000, 10_000_000))
        {
            Assert.Throws<FileUnwritableException>(() =>
            {
                for (int i = 1; i <= 100; i++)
                {
                    splitter.Add(Request(i, 8000));
                }
            });
        }

        Assert.Empty(Directory.GetFiles(disk.Folder));
    }

    [SmallDiskFact]
    public async Task A_conversion_reports_whether_a_read_or_a_write_failed()
    {
        using var disk = new SmallDisk(Small);
        string source = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"));
        await File.WriteAllTextAsync(source, new string('a', 400_000), Encoding.Unicode);
        try
        {
            TextFileStart start = TextFileStart.Of(source);
            await Assert.ThrowsAsync<FileUnwritableException>(() => Utf16Converter.ConvertAsync(source, start, Path.Combine(disk.Folder, "out")));
            await Assert.ThrowsAsync<FileNotFoundException>(() => Utf16Converter.ConvertAsync(source + "-", start, Path.Combine(disk.Folder, "out2")));
        }
        finally
        {
            File.Delete(source);
        }
    }

    private static FilePart Part(string folder, int number, char fill)
    {
        // The name itself fills the disk, in the journal.
        string path = Path.Combine(folder, $"part-{number}{new string(fill, 200)}.jsonl");
        File.WriteAllBytes(path, []);
        return new FilePart(path, 1, 1, new string(fill, 6000));
    }

    private static BatchRequest Request(int number, int size = 10) => new()
    {
        CustomId = $"r{number}",
        Url = "/v1/chat/completions",
        BodyUtf8 = Encoding.UTF8.GetBytes($$"""{"model":"m","n":{{number}},"p":"{{new string('x', size)}}"}"""),
    };

    private async Task<List<BatchResult>> RunAsync(string folder)
    {
        using RunStore store = RunStore.Open(folder);
        store.Begin(_server.BaseUri);
        using var input = new RunInput(store, 1000, 10_000_000, deduplicate: false);
        for (int i = 1; i <= 50; i++)
        {
            input.Add(Request(i));
        }

        using RunRequests requests = input.Complete();
        var engine = new RunEngine(Clients.For(_server), store, requests, new RunOptions { MaxAttempts = 1 }, new Recorder(_problems));
        return await engine.RunAsync().ToListAsync().WaitAsync(TimeSpan.FromSeconds(60));
    }

    private sealed class Recorder(List<Exception> problems) : RunObserver
    {
        public override void OnProblem(Exception problem) => problems.Add(problem);
    }
}
