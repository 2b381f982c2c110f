namespace InferenceBatch.Lines;

/// <summary>The encoding of a text file according to its first bytes (the Unicode Standard, section 23.8).</summary>
/// <param name="IsUtf16">Whether it is UTF-16.</param>
/// <param name="IsBigEndian">Whether the high byte is first.</param>
/// <param name="MarkLength">The length of the byte order mark in bytes; 0 if there is none.</param>
public readonly record struct TextFileStart(bool IsUtf16, bool IsBigEndian, int MarkLength)
{
    /// <summary>Reads the first bytes of a file.</summary>
    /// <exception cref="IOException">The file could not be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The permission to read the file is missing.</exception>
    public static TextFileStart Of(string path)
    {
        Span<byte> start = stackalloc byte[4];
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        return Of(start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)]);
    }

    /// <inheritdoc cref="Of(string)"/>
    public static TextFileStart Of(ReadOnlySpan<byte> start) => start switch
    {
        [0xFF, 0xFE, 0, 0, ..] => default, // UTF-32, which no shell writes by default.
        [0xFF, 0xFE, ..] => new TextFileStart(true, false, 2),
        [0xFE, 0xFF, ..] => new TextFileStart(true, true, 2),
        [(byte)'{', 0, ..] => new TextFileStart(true, false, 0),
        [0, (byte)'{', ..] => new TextFileStart(true, true, 0),
        [0xEF, 0xBB, 0xBF, ..] => new TextFileStart(false, false, 3),
        _ => default,
    };
}
