using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Support;

namespace InferenceBatch.Service;

/// <summary>Downloads to a full disk.</summary>
public sealed class FullDiskTests : IDisposable
{
    private const string Route = "GET /v1/files/f/content";

    private readonly FaultServer _server = new();
    private readonly FakeTime _time = new();
    private readonly byte[] _content = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(1, 40_000).Select(i => $"{{\"line\":{i}}}\n")));

    public void Dispose() => _server.Dispose();

    [SmallDiskFact]
    public async Task A_full_disk_keeps_the_target_and_the_download_resumes_when_there_is_room()
    {
        using var disk = new SmallDisk(256 * 1024);
        string target = Path.Combine(disk.Folder, "out.jsonl");
        await File.WriteAllTextAsync(target, "old");
        _server.On(Route, Answer.File(_content)).On("GET /v1/files/f", Answer.Json($$"""{"id":"f","bytes":{{_content.Length}}}"""));
        FileUnwritableException exception = await Assert.ThrowsAsync<FileUnwritableException>(() => ToFileAsync(target));
        Assert.Contains("No space left", exception.Message, StringComparison.Ordinal);
        Assert.Contains(target, exception.Message, StringComparison.Ordinal);
        Assert.Equal("old", await File.ReadAllTextAsync(target));
        Assert.Single(_server.Requests); // A full disk is not a network error.
        Assert.Empty(_time.Waits);

        disk.Grow(1024 * 1024);
        await ToFileAsync(target);
        Assert.True((await File.ReadAllBytesAsync(target)).AsSpan().SequenceEqual(_content));
        Assert.Equal([target], Directory.GetFiles(disk.Folder));
        Assert.NotNull(_server.Requests[^1].Header("Range"));
    }

    [SmallDiskFact]
    public async Task A_disk_that_is_full_from_the_start_has_no_file_afterwards()
    {
        using var disk = new SmallDisk(64 * 1024);
        string hog = Path.Combine(disk.Folder, "hog");
        await Assert.ThrowsAsync<IOException>(() => File.WriteAllBytesAsync(hog, new byte[1024 * 1024]));
        _server.On(Route, Answer.File(_content));
        FileUnwritableException exception = await Assert.ThrowsAsync<FileUnwritableException>(() => ToFileAsync(Path.Combine(disk.Folder, "out.jsonl")));
        Assert.Contains("No space left", exception.Message, StringComparison.Ordinal);
        Assert.Equal([hog], Directory.GetFiles(disk.Folder));
    }

    private Task<bool> ToFileAsync(string path) => Download.ToFileAsync(Clients.For(_server, _time), "f", path).WaitAsync(TimeSpan.FromSeconds(30));
}
