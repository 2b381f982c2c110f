using System.Runtime.InteropServices;

namespace InferenceBatch.Lines;

/// <summary>
/// A list that only grows, in chunks of equal size. With millions of items it needs little more memory than the items,
/// while an array that doubles would leave the same amount behind as garbage. Not thread-safe.
/// </summary>
internal sealed class ChunkedList<T>
{
    private const int Shift = 10;
    private const int Size = 1 << Shift;

    private readonly List<T[]> _chunks = [];

    public int Count { get; private set; }

    /// <exception cref="IndexOutOfRangeException">The index is behind the last chunk.</exception>
    public ref T this[int index] => ref CollectionsMarshal.AsSpan(_chunks)[index >> Shift][index & (Size - 1)];

    public void Add(T item)
    {
        if (Count >> Shift == _chunks.Count)
        {
            _chunks.Add(new T[Size]);
        }

        Count++;
        this[Count - 1] = item;
    }
}
