namespace InferenceBatch.Lines;

/// <summary>
/// Where one request stands in its file, so that it can be read again without parsing it again.
/// </summary>
/// <param name="Line">The line's number, counted from 1, blank lines included.</param>
/// <param name="Offset">Where the line begins, in bytes from the start of the file.</param>
/// <param name="Length">The line's length in bytes, without its terminator.</param>
/// <param name="IdStart">Where the JSON string of <c>custom_id</c>, quotes included, begins within the line.</param>
/// <param name="IdLength">Its length in bytes, quotes included.</param>
/// <param name="BodyStart">Where the JSON object of <c>body</c> begins within the line.</param>
/// <param name="BodyLength">Its length in bytes.</param>
public readonly record struct RequestSpan(
    int Line, long Offset, int Length, int IdStart, int IdLength, int BodyStart, int BodyLength);
