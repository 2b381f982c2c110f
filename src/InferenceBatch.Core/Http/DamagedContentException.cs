namespace InferenceBatch.Http;

/// <summary>Compressed content cannot be decoded. The content read so far may be wrong too, because the checksum is at the end.</summary>
public sealed class DamagedContentException(Exception cause) : IOException(cause.Message, cause);
