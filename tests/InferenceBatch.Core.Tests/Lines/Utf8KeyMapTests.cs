using System.Text;
using InferenceBatch.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Lines;

public sealed class Utf8KeyMapTests(ITestOutputHelper output)
{
    [Fact]
    public void An_ID_keeps_the_number_that_it_was_first_added_with()
    {
        var index = new Utf8KeyMap();
        Assert.True(index.TryAdd("a"u8, 7, out int existing));
        Assert.Equal(7, existing);
        Assert.False(index.TryAdd("a"u8, 9, out existing));
        Assert.Equal(7, existing);
        Assert.True(index.TryGet("a"u8, out int value));
        Assert.Equal(7, value);
        Assert.False(index.TryGet("A"u8, out value));
        Assert.Equal(0, value);
        Assert.Equal(1, index.Count);
    }

    [Fact]
    public void The_empty_ID_can_be_added()
    {
        var index = new Utf8KeyMap();
        Assert.False(index.TryGet(""u8, out _));
        Assert.True(index.TryAdd(""u8, 1, out _));
        Assert.True(index.TryAdd("\0"u8, 2, out _));
        Assert.False(index.TryAdd(""u8, 3, out int existing));
        Assert.Equal(1, existing);
    }

    [Fact]
    public void An_ID_longer_than_a_block_can_be_added()
    {
        var index = new Utf8KeyMap();
        byte[] longId = new byte[100_000];
        Assert.True(index.TryAdd(longId, 1, out _));
        Assert.True(index.TryAdd("a"u8, 2, out _));
        Assert.True(index.TryGet(longId, out int value));
        Assert.Equal(1, value);
        Assert.False(index.TryGet(longId.AsSpan(1), out _));
    }

    /// <summary>Among 150,000 IDs, two or three pairs have the same 32-bit hash, for any hash function.</summary>
    [Fact]
    public void Has_the_same_content_as_a_dictionary_with_growth_and_collisions()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(Has_the_same_content_as_a_dictionary_with_growth_and_collisions));
        var index = new Utf8KeyMap();
        var expected = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < 220_000; i++)
        {
            string id = $"request-{random.Next(300_000)}";
            bool isNew = expected.TryAdd(id, i);
            bool added = index.TryAdd(Encoding.UTF8.GetBytes(id), i, out int existing);
            Assert.True(added == isNew && existing == expected[id], id);
        }

        Assert.Equal(expected.Count, index.Count);
        for (int i = 0; i < 300_000; i++)
        {
            string id = $"request-{i}";
            bool found = index.TryGet(Encoding.UTF8.GetBytes(id), out int value);
            Assert.True(found == expected.TryGetValue(id, out int first) && value == first, id);
        }
    }
}
