using System.Runtime.InteropServices;

namespace InferenceBatch.Lines;

/// <summary>
/// A map from <c>custom_id</c> to a number, for files of millions: ids are kept as UTF-8 in one block, about 25
/// bytes an entry beside the id itself. Entries cannot be removed. Not safe for several threads.
/// </summary>
public sealed class IdIndex
{
    private int[] _buckets = new int[1024];
    private Entry[] _entries = new Entry[1024];
    private byte[] _ids = new byte[16 * 1024];
    private int _idsLength;

    public int Count { get; private set; }

    /// <summary>Adds an id; where it is there already, gives the number it was first added with and adds nothing.</summary>
    public bool TryAdd(ReadOnlySpan<byte> id, int value, out int existing)
    {
        int hash = Hash(id);
        if (Find(id, hash) is >= 0 and int found)
        {
            existing = _entries[found].Value;
            return false;
        }

        if (Count == _entries.Length)
        {
            Reserve(Count * 2);
        }

        if (_ids.Length - _idsLength < id.Length)
        {
            Array.Resize(ref _ids, Math.Max(_ids.Length * 2, checked(_idsLength + id.Length)));
        }

        id.CopyTo(_ids.AsSpan(_idsLength));
        ref int bucket = ref Bucket(hash);
        _entries[Count] = new Entry(hash, bucket - 1, _idsLength, id.Length, value);
        _idsLength += id.Length;
        bucket = ++Count;
        existing = value;
        return true;
    }

    public bool TryGet(ReadOnlySpan<byte> id, out int value)
    {
        int found = Find(id, Hash(id));
        value = found >= 0 ? _entries[found].Value : 0;
        return found >= 0;
    }

    /// <summary>Makes room for a number of ids in all, where it is known beforehand.</summary>
    public void Reserve(int count)
    {
        if (count <= _entries.Length)
        {
            return;
        }

        Array.Resize(ref _entries, count);
        _buckets = new int[count];
        for (int i = 0; i < Count; i++)
        {
            ref int bucket = ref Bucket(_entries[i].Hash);
            _entries[i] = _entries[i] with { Next = bucket - 1 };
            bucket = i + 1;
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
            if (entry.Hash == hash && id.SequenceEqual(_ids.AsSpan(entry.Start, entry.Length)))
            {
                return i;
            }
        }

        return -1;
    }

    private ref int Bucket(int hash) => ref _buckets[(uint)hash % (uint)_buckets.Length];

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Entry(int Hash, int Next, int Start, int Length, int Value);
}
