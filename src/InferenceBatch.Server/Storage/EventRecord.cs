namespace InferenceBatch.Server.Storage;

/// <summary>A webhook event that was not accepted yet.</summary>
/// <param name="Id">The ID of the event, <c>evt_…</c>; the same for every attempt.</param>
/// <param name="BatchId">The batch that ended.</param>
/// <param name="Url">The address of the receiver.</param>
/// <param name="Body">The request body, which was written when the batch ended.</param>
/// <param name="Attempts">The number of failed attempts so far.</param>
internal sealed record EventRecord(string Id, string BatchId, string Url, byte[] Body, int Attempts);
