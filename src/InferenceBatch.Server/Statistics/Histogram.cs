using System.Text.Json;

namespace InferenceBatch.Server.Statistics;

/// <summary>
/// Counts integers in fixed buckets, about six per decade from 1 to 1,000,000 and one for larger values, so that the
/// histograms of any two batches can be compared or added.
/// </summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class Histogram
{
    private static readonly long[] s_bounds =
    [
        1, 2, 3, 5, 7,
        10, 15, 20, 30, 50, 70,
        100, 150, 200, 300, 500, 700,
        1000, 1500, 2000, 3000, 5000, 7000,
        10_000, 15_000, 20_000, 30_000, 50_000, 70_000,
        100_000, 150_000, 200_000, 300_000, 500_000, 700_000,
        1_000_000,
    ];

    private readonly long[] _counts = new long[s_bounds.Length + 1];
    private long _count;
    private long _sum;
    private long? _max;

    public void Add(long value)
    {
        _counts[BucketOf(value)]++;
        _count++;
        _sum = LineUsage.Sum(_sum, value);
        _max = Math.Max(_max ?? value, value);
    }

    /// <summary>Adds a histogram that <see cref="Write"/> wrote.</summary>
    public void Add(JsonElement written)
    {
        foreach (JsonElement bucket in written.GetProperty("buckets").EnumerateArray())
        {
            JsonElement bound = bucket.GetProperty("le");
            long count = bucket.GetProperty("count").GetInt64();
            _counts[bound.ValueKind == JsonValueKind.Null ? s_bounds.Length : BucketOf(bound.GetInt64())] += count;
            _count += count;
        }

        _sum = LineUsage.Sum(_sum, written.GetProperty("sum").GetInt64());
        if (written.GetProperty("max") is { ValueKind: JsonValueKind.Number } max)
        {
            _max = Math.Max(_max ?? 0, max.GetInt64());
        }
    }

    /// <summary>
    /// Writes all buckets, including the empty ones. A bucket counts the values up to <c>le</c> that are above the <c>le</c> of the
    /// previous bucket. The <c>le</c> of the last bucket is null.
    /// </summary>
    public void Write(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject(name);
        json.WriteStartArray("buckets");
        for (int i = 0; i < _counts.Length; i++)
        {
            json.WriteStartObject();
            if (i < s_bounds.Length)
            {
                json.WriteNumber("le", s_bounds[i]);
            }
            else
            {
                json.WriteNull("le");
            }

            json.WriteNumber("count", _counts[i]);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("count", _count);
        json.WriteNumber("sum", _sum);
        if (_max is { } max)
        {
            json.WriteNumber("max", max);
        }
        else
        {
            json.WriteNull("max");
        }

        json.WriteEndObject();
    }

    private static int BucketOf(long value)
    {
        int index = Array.BinarySearch(s_bounds, value);
        return index >= 0 ? index : ~index;
    }
}
