namespace InferenceBatch.Lines;

/// <summary>
/// The position of a request in its file. With it, the request can be read again without parsing.
/// </summary>
/// <param name="Line">The number of the line, counted from 1, including blank lines.</param>
/// <param name="Offset">The start of the line, in bytes from the start of the file.</param>
/// <param name="Length">The length of the line in bytes, without its terminator.</param>
/// <param name="IdStart">The start of <c>custom_id</c> within the line, including the quote.</param>
/// <param name="IdLength">The length of <c>custom_id</c> in bytes, including the quotes.</param>
/// <param name="BodyStart">The start of <c>body</c> within the line.</param>
/// <param name="BodyLength">The length of <c>body</c> in bytes.</param>
public readonly record struct RequestSpan(
    int Line, long Offset, int Length, int IdStart, int IdLength, int BodyStart, int BodyLength);
