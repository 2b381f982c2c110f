using System.Runtime.InteropServices;
using System.Text;

namespace InferenceBatch.Lines;

/// <summary>
/// A map from <c>custom_id</c> to a number, for millions of requests. It stores the IDs as UTF-8 in blocks; an entry needs
/// about 30 bytes in addition to its ID. Entries cannot be removed. Not thread-safe.
/// </summary>
public sealed class Utf8KeyMap
{
    private const int BlockSize = 64 * 1024;
    private const int MaxStackBytes = 512;

    private static readonly UTF8Encoding s_strictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly ChunkedList<Entry> _entries = new();
    private readonly List<byte[]> _blocks = [];
    private int[] _buckets = new int[1024];
    private int _used;

    public int Count => _entries.Count;

    /// <summary>Adds an ID. If the map already has it, returns false and the number that it was first added with.</summary>
    public bool TryAdd(ReadOnlySpan<byte> id, int value, out int existing)
    {
        int hash = Hash(id);
        if (Find(id, hash) is >= 0 and int found)
        {
            existing = _entries[found].Value;
            return false;
        }

        if (Count == _buckets.Length)
        {
            Grow();
        }

        (int block, int start) = Store(id);
        ref int bucket = ref Bucket(hash);
        _entries.Add(new Entry(hash, bucket - 1, block, start, id.Length, value));
        bucket = Count;
        existing = value;
        return true;
    }

    /// <inheritdoc cref="TryAdd(ReadOnlySpan{byte}, int, out int)"/>
    /// <remarks>An ID that is not <see cref="IsWritable"/> changes in UTF-8, and may equal another one.</remarks>
    public bool TryAdd(string id, int value, out int existing)
    {
        int maxBytes = Encoding.UTF8.GetMaxByteCount(id.Length);
        Span<byte> utf8 = maxBytes <= MaxStackBytes ? stackalloc byte[MaxStackBytes] : new byte[maxBytes];
        return TryAdd(utf8[..Encoding.UTF8.GetBytes(id, utf8)], value, out existing);
    }

    public bool TryGet(ReadOnlySpan<byte> id, out int value)
    {
        int found = Find(id, Hash(id));
        value = found >= 0 ? _entries[found].Value : 0;
        return found >= 0;
    }

    /// <inheritdoc cref="TryGet(ReadOnlySpan{byte}, out int)"/>
    public bool TryGet(string id, out int value)
    {
        int maxBytes = Encoding.UTF8.GetMaxByteCount(id.Length);
        Span<byte> utf8 = maxBytes <= MaxStackBytes ? stackalloc byte[MaxStackBytes] : new byte[maxBytes];
        return TryGet(utf8[..Encoding.UTF8.GetBytes(id, utf8)], out value);
    }

    /// <summary>Returns the ID at an index in the order of addition, counted from 0.</summary>
    public string IdAt(int index) => Encoding.UTF8.GetString(IdOf(in _entries[index]));

    /// <summary>Whether UTF-8 can represent an ID: false if it contains half a surrogate pair.</summary>
    public static bool IsWritable(string id)
    {
        try
        {
            return s_strictUtf8.GetByteCount(id) >= 0;
        }
        catch (EncoderFallbackException)
        {
            return false;
        }
    }

    private static int Hash(ReadOnlySpan<byte> id)
    {
        HashCode hash = default;
        hash.AddBytes(id);
        return hash.ToHashCode();
    }

    private int Find(ReadOnlySpan<byte> id, int hash)
    {
        for (int i = Bucket(hash) - 1; i >= 0; i = _entries[i].Next)
        {
            ref Entry entry = ref _entries[i];
            if (entry.Hash == hash && id.SequenceEqual(IdOf(in entry)))
            {
                return i;
            }
        }

        return -1;
    }

    private ReadOnlySpan<byte> IdOf(in Entry entry) => _blocks[entry.Block].AsSpan(entry.Start, entry.Length);

    /// <summary>Copies an ID to the last block or, if it does not fit, to a new one.</summary>
    private (int Block, int Start) Store(ReadOnlySpan<byte> id)
    {
        if (_blocks.Count == 0 || _blocks[^1].Length - _used < id.Length)
        {
            _blocks.Add(new byte[Math.Max(BlockSize, id.Length)]);
            _used = 0;
        }

        int start = _used;
        id.CopyTo(_blocks[^1].AsSpan(start));
        _used += id.Length;
        return (_blocks.Count - 1, start);
    }

    private void Grow()
    {
        _buckets = new int[checked(_buckets.Length * 2)];
        for (int i = 0; i < Count; i++)
        {
            ref Entry entry = ref _entries[i];
            ref int bucket = ref Bucket(entry.Hash);
            entry = entry with { Next = bucket - 1 };
            bucket = i + 1;
        }
    }

    private ref int Bucket(int hash) => ref _buckets[(uint)hash % (uint)_buckets.Length];

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Entry(int Hash, int Next, int Block, int Start, int Length, int Value);
}
