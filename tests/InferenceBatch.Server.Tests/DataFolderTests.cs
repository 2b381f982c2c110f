using System.Runtime.Versioning;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The folders that <c>--data</c> accepts. The service leaves other folders unchanged.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class DataFolderTests : IDisposable
{
    private const UnixFileMode Open = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_service_stops_cleanly_if_its_folder_was_moved()
    {
        TestService service = await TestService.StartAsync(folder: _folder);
        string away = _folder.Path + "-away";
        Directory.Move(_folder.Path, away);
        await service.DisposeAsync();
        Directory.Move(away, _folder.Path);
    }

    [Theory]
    [InlineData("temp/precious.txt", false)]
    [InlineData("temp/precious.txt", true)]
    [InlineData("process-id", false)]
    [InlineData("process-id", true)]
    [InlineData("lock", false)]
    [InlineData(".profile", true)]
    [InlineData("batches/old/x", false)]
    public async Task A_folder_with_other_contents_is_refused_and_unchanged(string file, bool isDetached)
    {
        string path = _folder.File(file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllTextAsync(path, "mine");
        Directory.CreateDirectory(_folder.File("files"));
        string[] folders = [_folder.Path, .. Directory.GetDirectories(_folder.Path)];
        Array.ForEach(folders, folder => File.SetUnixFileMode(folder, Open));
        string[] before = Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories);

        await AssertRefusedAsync(isDetached, file.Split('/')[0]);
        Assert.Equal("mine", await File.ReadAllTextAsync(path));
        Assert.Equal(before.Order(), Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories).Order());
        Assert.All(folders, folder => Assert.Equal(Open, File.GetUnixFileMode(folder)));
    }

    [Theory]
    [InlineData("temp")]
    [InlineData("files")]
    [InlineData("batches")]
    public async Task A_symbolic_link_instead_of_a_folder_is_refused(string name)
    {
        await (await TestService.StartAsync(folder: _folder)).DisposeAsync();
        using var other = new TempFolder();
        string precious = other.File($"{Guid.NewGuid():N}.part", "mine");
        Directory.Delete(_folder.File(name));
        Directory.CreateSymbolicLink(_folder.File(name), other.Path);
        await AssertRefusedAsync(isDetached: false, $"/{name}' is a symbolic link");
        Assert.True(File.Exists(precious));
    }

    [Fact]
    public async Task A_start_deletes_only_the_remains_of_uploads()
    {
        await (await TestService.StartAsync(folder: _folder)).DisposeAsync();
        string[] own = [$"{Guid.NewGuid():N}.part", "file-0123456789abcdefghijABCD"];
        string[] foreign = ["precious.txt", "file-cabinet", "notes.part"];
        Array.ForEach([.. own, .. foreign], name => _folder.File(Path.Combine("temp", name), "x"));
        await (await TestService.StartAsync(folder: _folder)).DisposeAsync();
        Assert.Equal(foreign.Order(), Directory.GetFiles(_folder.File("temp")).Select(Path.GetFileName).Order());
    }

    /// <summary>A first start may be interrupted at any time, for example because the port is in use.</summary>
    [Theory]
    [InlineData("server.log")]
    [InlineData("server.log,server.port,lock")]
    [InlineData("server.log,lock,process-id,files/")]
    [InlineData("lock,files/,batches/,temp/,lost+found/")]
    public async Task A_folder_of_an_interrupted_start_is_accepted(string left)
    {
        foreach (string name in left.Split(','))
        {
            if (name.EndsWith('/'))
            {
                Directory.CreateDirectory(_folder.File(name));
            }
            else
            {
                _folder.File(name, name == "lock" ? "" : "17");
            }
        }

        await using TestService service = await TestService.StartAsync(folder: _folder);
        await service.Api.UploadAsync(Requests.File(1));
    }

    private async Task AssertRefusedAsync(bool isDetached, string said)
    {
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(
            ["serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path, .. isDetached ? ["--detached"] : Array.Empty<string>()]);
        Assert.Equal(2, exitCode);
        Assert.Contains(said, Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }
}
