using System.Text;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

public sealed class ResultFileWriterTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Linux marks pages that it could not write as written, and reports the failure once. So a second fsync alone proves nothing.</summary>
    [Fact]
    public async Task After_a_failed_sync_the_bytes_are_written_again_before_the_next_sync()
    {
        string path = _folder.File("output.partial");
        bool refuses = false;
        int flushes = 0;
        using ResultFileWriter file = ResultFileWriter.Open(path, _ =>
        {
            flushes++;
            if (refuses)
            {
                throw new IOException("Input/output error");
            }
        }, _ => true);
        await file.AppendAsync("one\n"u8, 1);
        file.Sync();
        DateTime synced = File.GetLastWriteTimeUtc(path);
        await file.AppendAsync("two\n"u8, 1);
        refuses = true;
        File.SetLastWriteTimeUtc(path, synced.AddDays(-1));
        Assert.Throws<IOException>(file.Sync);
        Assert.True(File.GetLastWriteTimeUtc(path) > synced.AddDays(-1), "The bytes were not written again.");
        refuses = false;
        file.Sync();
        file.Sync(); // There is nothing new to sync.
        Assert.Equal(3, flushes);
        Assert.Equal("one\ntwo\n", await File.ReadAllTextAsync(path));
    }

    [Fact]
    public async Task Lines_of_many_threads_are_complete_and_written_once()
    {
        const int Threads = 8;
        const int LinesOfEach = 500;
        string path = _folder.File("output.partial");
        using ResultFileWriter file = ResultFileWriter.Open(path, _ => { }, _ => true);
        int reported = 0;
        file.OnWritten = (_, count) => Interlocked.Add(ref reported, count);
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(async () =>
        {
            for (int line = 0; line < LinesOfEach; line++)
            {
                byte[] text = Encoding.ASCII.GetBytes($"{thread}-{line}-{new string('x', line)}\n");
                await file.AppendAsync(text, 1);
                Assert.True(file.Length >= text.Length, "The line was not written when its task ended.");
            }
        })));
        Assert.Equal(
            Enumerable.Range(0, Threads).SelectMany(thread => Enumerable.Range(0, LinesOfEach).Select(line => $"{thread}-{line}-{new string('x', line)}")).Order(),
            (await File.ReadAllLinesAsync(path)).Order());
        Assert.Equal(Threads * LinesOfEach, file.Lines);
        Assert.Equal(Threads * LinesOfEach, reported);
        Assert.Equal(new FileInfo(path).Length, file.Length);
    }
}
