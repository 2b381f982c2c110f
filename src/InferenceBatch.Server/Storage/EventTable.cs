using System.Buffers;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// Webhook events on their way. One is made in the transaction that ends its batch, so none is lost and none made twice;
/// it is gone once it was taken or given up.
/// </summary>
internal sealed class EventTable(Database database)
{
    public const string Schema = """
        CREATE TABLE IF NOT EXISTS events (
            id TEXT PRIMARY KEY, batch_id TEXT NOT NULL UNIQUE, url TEXT NOT NULL, body BLOB NOT NULL,
            attempts INTEGER NOT NULL, next_at INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS events_by_time ON events (next_at);
        """;

    /// <summary>A receiver is told the first errors of a batch; all of them stand in the batch itself.</summary>
    private const int MaxErrors = 100;

    /// <summary>Raised when there is a new event, before its transaction ends.</summary>
    public event Action? Added;

    /// <summary>Keeps the event of a batch that has ended and wants one. Inside the transaction that ends it.</summary>
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

    /// <summary>Ids and addresses of events whose time has come, the longest due first.</summary>
    public List<(string Id, string Url)> Due(DateTimeOffset now, int limit) => database.Query(
        "SELECT id, url FROM events WHERE next_at <= $now ORDER BY next_at LIMIT $limit",
        row => (row.GetString(0), row.GetString(1)), ("$now", now.ToUnixTimeMilliseconds()), ("$limit", limit));

    /// <summary>When the next event after <paramref name="now"/> falls due; null where there is none.</summary>
    public DateTimeOffset? NextAfter(DateTimeOffset now) => database.Query(
        "SELECT MIN(next_at) AS next_at FROM events WHERE next_at > $now", row => row.Time("next_at"), ("$now", now.ToUnixTimeMilliseconds()))[0];

    /// <summary>Events that wait longer than any wait is, for the clock was set back, are due.</summary>
    public void BringBack(DateTimeOffset now, TimeSpan longest) => database.Execute(
        "UPDATE events SET next_at = $now WHERE next_at > $latest",
        ("$now", now.ToUnixTimeMilliseconds()), ("$latest", (now + longest).ToUnixTimeMilliseconds()));

    public EventRecord? Find(string id) => database.Query(
        "SELECT * FROM events WHERE id = $id",
        row => new EventRecord(id, row.Text("batch_id")!, row.Text("url")!, (byte[])row["body"], (int)row.Whole("attempts")!.Value),
        ("$id", id)).FirstOrDefault();

    /// <summary>Notes an attempt that failed, and when the next one is due.</summary>
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
            new ServiceError(IssueCodes.MoreIssues, $"{batch.Errors.Count - MaxErrors} more errors stand in the batch itself."),
        ],
    };
}
