namespace InferenceBatch.Http;

/// <summary>Compressed content cannot be decoded. What came out before may be wrong too: a checksum stands at the end only.</summary>
public sealed class DamagedContentException(Exception cause) : IOException(cause.Message, cause);
