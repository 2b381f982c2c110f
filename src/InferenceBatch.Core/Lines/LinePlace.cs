namespace InferenceBatch.Lines;

/// <summary>The position of a line on disk.</summary>
/// <param name="Offset">In bytes from the start of its file.</param>
/// <param name="Length">In bytes, without its terminator.</param>
/// <param name="File">The index of the file, counted from 0.</param>
public readonly record struct LinePlace(long Offset, int Length, int File);
