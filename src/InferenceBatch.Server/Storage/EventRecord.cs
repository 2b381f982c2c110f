namespace InferenceBatch.Server.Storage;

/// <summary>A webhook event that nobody has taken yet.</summary>
/// <param name="Id">The event's own, <c>evt_…</c>: the same for every attempt.</param>
/// <param name="BatchId">The batch that ended.</param>
/// <param name="Url">Where it goes.</param>
/// <param name="Body">What is sent, as it was when the batch ended.</param>
/// <param name="Attempts">Attempts that failed so far.</param>
internal sealed record EventRecord(string Id, string BatchId, string Url, byte[] Body, int Attempts);
