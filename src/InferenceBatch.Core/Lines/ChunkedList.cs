using System.Runtime.InteropServices;

namespace InferenceBatch.Lines;

/// <summary>
/// A list that only grows, in pieces of one size: what a list of millions takes is what it holds, where one array that
/// doubles would leave as much again behind as garbage. Not safe for several threads.
/// </summary>
internal sealed class ChunkedList<T>
{
    private const int Shift = 10;
    private const int Size = 1 << Shift;

    private readonly List<T[]> _pieces = [];

    public int Count { get; private set; }

    /// <exception cref="IndexOutOfRangeException">Past the last piece.</exception>
    public ref T this[int index] => ref CollectionsMarshal.AsSpan(_pieces)[index >> Shift][index & (Size - 1)];

    public void Add(T item)
    {
        if (Count >> Shift == _pieces.Count)
        {
            _pieces.Add(new T[Size]);
        }

        Count++;
        this[Count - 1] = item;
    }
}
