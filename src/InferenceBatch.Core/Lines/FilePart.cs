namespace InferenceBatch.Lines;

/// <summary>One file a <see cref="FileSplitter"/> wrote.</summary>
/// <param name="Path">Where it is: a temporary name until the splitter has renamed its parts.</param>
/// <param name="RequestCount">Requests in it.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Endpoint">The endpoint its first request names.</param>
public sealed record FilePart(string Path, int RequestCount, long Bytes, string Endpoint);
