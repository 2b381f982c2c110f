using System.Buffers;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The pending webhook events. An event is created in the transaction that ends its batch, so it is neither lost nor
/// duplicated. It is deleted when it is accepted or given up.
/// </summary>
internal sealed class EventTable(Database database)
{
    public const string Schema = """
        CREATE TABLE IF NOT EXISTS events (
            id TEXT PRIMARY KEY, batch_id TEXT NOT NULL UNIQUE, url TEXT NOT NULL, body BLOB NOT NULL,
            attempts INTEGER NOT NULL, next_at INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS events_by_time ON events (next_at);
        """;

    /// <summary>An event contains only the first errors of a batch; the batch itself has all of them.</summary>
    private const int MaxErrors = 100;

    /// <summary>Raised for a new event, before its transaction ends.</summary>
    public event Action? Added;

    /// <summary>Stores the event of a batch that has ended, if it has a webhook address. Call it within the transaction that ends the batch.</summary>
    public void AddFor(BatchRecord batch)
    {
        if (!batch.IsFinished || batch.WebhookUrl is null)
        {
            return;
        }

        string id = Ids.NewEvent();
        DateTimeOffset at = (batch.CompletedAt ?? batch.FailedAt ?? batch.ExpiredAt ?? batch.CancelledAt)!.Value;
        database.Execute(
            "INSERT INTO events (id, batch_id, url, body, attempts, next_at) VALUES ($id, $batch_id, $url, $body, 0, $next_at)",
            ("$id", id),
            ("$batch_id", batch.Id),
            ("$url", batch.WebhookUrl),
            ("$body", Write(id, at, batch)),
            ("$next_at", at.ToUnixTimeMilliseconds()));
        Added?.Invoke();
    }

    /// <summary>Returns IDs and addresses of the events that are due, the oldest first.</summary>
    public List<(string Id, string Url)> Due(DateTimeOffset now, int limit) => database.Query(
        "SELECT id, url FROM events WHERE next_at <= $now ORDER BY next_at LIMIT $limit",
        row => (row.GetString(0), row.GetString(1)), ("$now", now.ToUnixTimeMilliseconds()), ("$limit", limit));

    /// <summary>Returns when the next event after <paramref name="now"/> is due; null if no other event is pending.</summary>
    public DateTimeOffset? NextAfter(DateTimeOffset now) => database.Query(
        "SELECT MIN(next_at) AS next_at FROM events WHERE next_at > $now", row => row.Time("next_at"), ("$now", now.ToUnixTimeMilliseconds()))[0];

    /// <summary>Makes events due now that would wait longer than the maximum, because the clock was set back.</summary>
    public void ResetLateEvents(DateTimeOffset now, TimeSpan maxWait) => database.Execute(
        "UPDATE events SET next_at = $now WHERE next_at > $latest",
        ("$now", now.ToUnixTimeMilliseconds()), ("$latest", (now + maxWait).ToUnixTimeMilliseconds()));

    public EventRecord? Find(string id) => database.Query(
        "SELECT * FROM events WHERE id = $id",
        row => new EventRecord(id, row.Text("batch_id")!, row.Text("url")!, (byte[])row["body"], (int)row.Integer("attempts")!.Value),
        ("$id", id)).FirstOrDefault();

    /// <summary>Stores a failed attempt and the time of the next one.</summary>
    public void Postpone(string id, DateTimeOffset nextAt) => database.Execute(
        "UPDATE events SET attempts = attempts + 1, next_at = $next_at WHERE id = $id", ("$id", id), ("$next_at", nextAt.ToUnixTimeMilliseconds()));

    public void Delete(string id) => database.Execute("DELETE FROM events WHERE id = $id", ("$id", id));

    private static byte[] Write(string id, DateTimeOffset at, BatchRecord batch)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions))
        {
            json.WriteStartObject();
            json.WriteString("id", id);
            json.WriteString("object", "event");
            json.WriteString("type", "batch." + StatusWords.Write(batch.Status));
            json.WriteNumber("created_at", at.ToUnixTimeSeconds());
            json.WritePropertyName("data");
            WireWriter.WriteBatch(json, Shortened(batch).ToBatch());
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static BatchRecord Shortened(BatchRecord batch) => batch.Errors.Count <= MaxErrors ? batch : batch with
    {
        Errors =
        [
            .. batch.Errors.Take(MaxErrors),
            new ServiceError(IssueCodes.MoreIssues, $"The batch has {batch.Errors.Count - MaxErrors} more errors. GET /v1/batches/{batch.Id} lists them."),
        ],
    };
}
