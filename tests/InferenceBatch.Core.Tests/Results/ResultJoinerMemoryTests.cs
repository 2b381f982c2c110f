using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>Tests that measure the memory of the whole process run alone.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MemoryCollection
{
    public const string Name = "memory";
}

/// <summary>The memory use of a joiner.</summary>
[Collection(MemoryCollection.Name)]
public sealed class ResultJoinerMemoryTests
{
    /// <summary>The lines are on disk: 50,000 failures of 2 KB each (100 MB) use less than a tenth of that in memory.</summary>
    [Fact]
    public void Stored_failures_take_little_memory()
    {
        var requests = new RequestList();
        for (int i = 0; i < 50_000; i++)
        {
            Assert.True(requests.Add(new BatchRequest { CustomId = $"r{i}", Url = "/v1/chat/completions", BodyUtf8 = "{}"u8.ToArray() }));
        }

        using var joiner = new ResultJoiner(requests);
        // What earlier tests left must not be released during the measurement.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = GC.GetTotalMemory(forceFullCollection: true);
        string padding = new('x', 2_000);
        for (int i = 0; i < 50_000; i++)
        {
            string line = "{\"custom_id\":\"r" + i + "\",\"response\":{\"status_code\":400,\"body\":{\"error\":{\"code\":\"bad\",\"message\":\"" + padding + "\"}}},\"error\":null}";
            Assert.Null(joiner.Take(ResultLineReader.Read(Encoding.UTF8.GetBytes(line), "batch")));
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 10_000_000);
        Assert.Equal(50_000, joiner.Finish().Count(result => result.Error?.Message.Length > 100));
    }
}
