namespace InferenceBatch.Lines;

/// <summary>A file that a <see cref="FileSplitter"/> wrote.</summary>
/// <param name="Path">The path: a temporary name until the splitter renames its parts.</param>
/// <param name="RequestCount">The number of requests.</param>
/// <param name="Bytes">The size of the file.</param>
/// <param name="Endpoint">The endpoint of its requests.</param>
public sealed record FilePart(string Path, int RequestCount, long Bytes, string Endpoint);
