namespace InferenceBatch.Lines;

/// <summary>How a text file is encoded, as its first bytes tell (the Unicode Standard, section 23.8).</summary>
/// <param name="IsUtf16">Whether it is UTF-16.</param>
/// <param name="IsBigEndian">Whether the high byte comes first.</param>
/// <param name="MarkLength">How many bytes of byte order mark it begins with.</param>
public readonly record struct TextFileStart(bool IsUtf16, bool IsBigEndian, int MarkLength)
{
    /// <summary>Looks at a file's first bytes.</summary>
    /// <exception cref="IOException">The file could not be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static TextFileStart Of(string path)
    {
        Span<byte> start = stackalloc byte[4];
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        return Of(start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)]);
    }

    /// <inheritdoc cref="Of(string)"/>
    public static TextFileStart Of(ReadOnlySpan<byte> start) => start switch
    {
        [0xFF, 0xFE, 0, 0, ..] => default, // UTF-32, which no shell writes by itself.
        [0xFF, 0xFE, ..] => new TextFileStart(true, false, 2),
        [0xFE, 0xFF, ..] => new TextFileStart(true, true, 2),
        [(byte)'{', 0, ..] => new TextFileStart(true, false, 0),
        [0, (byte)'{', ..] => new TextFileStart(true, true, 0),
        [0xEF, 0xBB, 0xBF, ..] => new TextFileStart(false, false, 3),
        _ => default,
    };
}
