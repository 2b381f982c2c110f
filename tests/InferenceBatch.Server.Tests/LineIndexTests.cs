using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The stored positions of the lines of a running batch: a restart uses them if they are intact and belong to the same file.</summary>
public sealed class LineIndexTests : IDisposable
{
    private const int Lines = 1500;
    private const int Done = 700;

    private static readonly FileStamp s_stamp = new(1_000_000, new DateTime(2026, 7, 1, 12, 0, 0, DateTimeKind.Utc));

    private readonly TempFolder _folder = new();

    private string Index => _folder.File("batch_1.lines");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_written_index_is_read()
    {
        RequestSpan[] spans = [.. Enumerable.Range(1, Lines).Select(line => new RequestSpan(line, line * 5_000_000_000L, 400, 13, 8, 60, 300))];
        LineIndex.Write(Index, s_stamp, spans);
        Assert.Equal(spans, LineIndex.Read(Index, s_stamp));
    }

    [Fact]
    public void A_missing_or_damaged_index_or_one_of_another_file_is_not_used()
    {
        Assert.Null(LineIndex.Read(Index, s_stamp));
        LineIndex.Write(Index, s_stamp, new RequestSpan[Lines]);
        Assert.Null(LineIndex.Read(Index, s_stamp with { Length = 1 }));
        Assert.Null(LineIndex.Read(Index, s_stamp with { WrittenAt = s_stamp.WrittenAt.AddTicks(1) }));
        byte[] whole = File.ReadAllBytes(Index);
        foreach (int length in new[] { 0, 31, 32, 33, whole.Length - 1 })
        {
            File.WriteAllBytes(Index, whole[..length]);
            Assert.Null(LineIndex.Read(Index, s_stamp));
        }

        whole[^5] ^= 1;
        File.WriteAllBytes(Index, whole);
        Assert.Null(LineIndex.Read(Index, s_stamp));
    }

    /// <summary>A line that is no longer valid JSON, in a file with unchanged size and time, shows whether the input was validated again.</summary>
    [Theory]
    [InlineData(false, "completed")]
    [InlineData(true, "failed")]
    public async Task A_restart_validates_the_input_again_only_if_the_index_is_damaged(bool isDamaged, string status)
    {
        bool isHeld = true;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call =>
            isHeld && int.Parse(call.Prompt.Split(' ')[1], null) > Done ? call.StallAsync() : call.OkAsync());
        string id;
        await using (TestService service = await StartAsync(upstream))
        {
            id = await service.Api.SubmitAsync(Requests.File(Lines));
            await service.Api.DoneAsync(id, Done);
        }

        string input = Directory.GetFiles(_folder.File("files")).Single();
        DateTime written = File.GetLastWriteTimeUtc(input);
        using (FileStream file = File.OpenWrite(input))
        {
            file.WriteByte((byte)'#'); // In the first line, which is done.
        }

        File.SetLastWriteTimeUtc(input, written);
        string index = _folder.File($"batches/{id}.lines");
        if (isDamaged)
        {
            File.AppendAllText(index, "x");
        }

        isHeld = false;
        await using TestService again = await StartAsync(upstream);
        JsonElement batch = await again.Api.EndAsync(id);
        Assert.Equal(status, batch.GetProperty("status").GetString());
        Assert.Equal(isDamaged ? Done : Lines, (await again.Api.LinesAsync(batch.GetProperty("output_file_id"))).Count);
        Assert.Equal(1, upstream.Attempts["prompt 1"]);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.File("batches")));
    }

    private Task<TestService> StartAsync(FaultUpstream upstream) => TestService.StartAsync(settings => settings with
    {
        Upstream = upstream.Address,
        Engine = new EngineSettings { Concurrency = 1, StopGrace = TimeSpan.Zero },
    }, folder: _folder);
}
