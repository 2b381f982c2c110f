using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using InferenceBatch.Results;

namespace InferenceBatch.Runs;

/// <summary>Which process uses a checkpoint, and the files of a killed process.</summary>
public sealed class FolderLockTests : IDisposable
{
    private static readonly JsonSerializerOptions s_options = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private readonly string _folder = Directory.CreateTempSubdirectory("InferenceBatch-locktest-").FullName;

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    [Fact]
    public void The_process_that_uses_a_checkpoint_is_named_with_its_start()
    {
        using RunStore store = RunStore.Open(_folder);
        RunStoreInUseException problem = Assert.Throws<RunStoreInUseException>(() => RunStore.Open(_folder));
        Assert.Contains($"process {Environment.ProcessId} on {Environment.MachineName}", problem.Message, StringComparison.Ordinal);
        using var process = Process.GetCurrentProcess();
        Assert.Contains(process.StartTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture), problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"processId\":")]
    [InlineData("null")]
    [InlineData("[]")]
    public void An_owner_that_cannot_be_read_is_not_named(string owner)
    {
        using RunStore store = RunStore.Open(_folder);
        File.WriteAllText(Path.Combine(_folder, FolderLock.OwnerName), owner);
        Assert.Contains("in use by another process", Assert.Throws<RunStoreInUseException>(() => RunStore.Open(_folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_closed_checkpoint_does_not_name_its_last_process()
    {
        RunStore.Open(_folder).Dispose();
        Assert.False(File.Exists(Path.Combine(_folder, FolderLock.OwnerName)));
        RunStore.Open(_folder).Dispose();
    }

    [Fact]
    public void The_lock_of_a_killed_process_does_not_block()
    {
        Leave(_folder, DeadProcess());
        using RunStore store = RunStore.Open(_folder);
        Assert.Contains($"process {Environment.ProcessId} ", Assert.Throws<RunStoreInUseException>(() => RunStore.Open(_folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_temporary_folders_of_killed_processes_are_deleted_at_the_next_start_and_no_others()
    {
        string dead = New(), reused = New(), unnamed = New(), elsewhere = New(), unlocked = New(), checkpoint = New();
        LockOwner gone = DeadProcess() with { IsTemporary = true };
        Leave(dead, gone);
        Leave(reused, LockOwner.ThisProcess with { StartedAt = DateTimeOffset.UtcNow.AddDays(-3), IsTemporary = true });
        Leave(elsewhere, gone with { Machine = "another" });
        Leave(unlocked, gone);
        Leave(checkpoint, gone with { IsTemporary = false });
        File.Delete(Path.Combine(unlocked, FolderLock.LockName));
        File.WriteAllText(Path.Combine(unnamed, FolderLock.LockName), "");
        using var mine = TemporaryFolder.Create();
        // This process has the lock, whatever the owner file says.
        File.WriteAllText(Path.Combine(mine.FullPath, FolderLock.OwnerName), OwnerText(gone));
        try
        {
            RunStore.Open(_folder).Dispose();
            Assert.False(Directory.Exists(dead));
            Assert.False(Directory.Exists(reused));
            Assert.All((string[])[unnamed, elsewhere, unlocked, checkpoint, mine.FullPath], path => Assert.True(Directory.Exists(path)));
        }
        finally
        {
            foreach (string path in (string[])[dead, reused, unnamed, elsewhere, unlocked, checkpoint])
            {
                if (Directory.Exists(path))
                {
                    Directory.Delete(path, recursive: true);
                }
            }
        }
    }

    [Fact]
    public void A_link_instead_of_a_temporary_folder_is_not_followed()
    {
        string link = Path.Combine(Path.GetTempPath(), $"InferenceBatch-{Guid.NewGuid():N}");
        string target = Directory.CreateTempSubdirectory("precious-").FullName;
        Leave(target, DeadProcess() with { IsTemporary = true });
        Directory.CreateSymbolicLink(link, target);
        try
        {
            TemporaryFolder.DeleteAbandoned();
            Assert.True(File.Exists(Path.Combine(target, FolderLock.LockName)));
        }
        finally
        {
            Directory.Delete(link);
            Directory.Delete(target, recursive: true);
        }
    }

    [Fact]
    public void Leftovers_of_a_kill_are_deleted_and_files_in_the_journal_are_kept()
    {
        string part = """{"step":"Spooled","attempt":1,"parts":[{"path":"part.jsonl","requestCount":1,"bytes":1,"endpoint":"/v1"}]}""";
        File.WriteAllLines(Path.Combine(_folder, "journal.jsonl"), ["""{"step":"Began","address":"http://127.0.0.1:1/"}""", part]);
        string[] stays = ["part.jsonl", "part.output.jsonl.file-1.part", "notes.txt", "part.output.jsonl"];
        string[] goes = [".again-1.jsonl.abcd1234-001.tmp", ".part.jsonl.abcd1234-001.tmp", "again-1.jsonl", "again-1-001.jsonl", "again-1.error.jsonl.file-2.part"];
        foreach (string name in stays.Concat(goes))
        {
            File.WriteAllText(Path.Combine(_folder, name), "x");
        }

        RunStore.Open(_folder).Dispose();
        Assert.All(stays, name => Assert.True(File.Exists(Path.Combine(_folder, name)), name));
        Assert.All(goes, name => Assert.False(File.Exists(Path.Combine(_folder, name)), name));
    }

    [Fact]
    public void A_spool_has_no_file_name_that_a_kill_could_leave()
    {
        using var spool = new ResultSpool(1);
        spool.CopyResults(null);
        spool.Add(0, new Model.BatchResult { CustomId = "a", JsonUtf8 = """{"custom_id":"a"}"""u8.ToArray() });
        Assert.Equal("a", spool.Read(0).CustomId);
        if (OperatingSystem.IsLinux())
        {
            string?[] open = [.. Directory.GetFiles("/proc/self/fd").Select(handle => new FileInfo(handle).LinkTarget).Where(target => target?.Contains(".spool", StringComparison.Ordinal) == true)];
            Assert.NotEmpty(open);
            Assert.All(open, target => Assert.EndsWith(" (deleted)", target, StringComparison.Ordinal));
        }
    }

    private static string New() => Directory.CreateTempSubdirectory("InferenceBatch-").FullName;

    private static string OwnerText(LockOwner owner) =>
        JsonSerializer.Serialize(owner, s_options);

    private static void Leave(string folder, LockOwner owner)
    {
        File.WriteAllText(Path.Combine(folder, FolderLock.LockName), "");
        File.WriteAllText(Path.Combine(folder, FolderLock.OwnerName), OwnerText(owner));
    }

    /// <summary>A process that has ended.</summary>
    private static LockOwner DeadProcess()
    {
        using var process = Process.Start(OperatingSystem.IsWindows() ? "hostname" : "true");
        var owner = new LockOwner(process.Id, DateTimeOffset.UtcNow, Environment.MachineName);
        process.WaitForExit();
        return owner;
    }
}
