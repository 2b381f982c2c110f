using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>The records of files.</summary>
internal sealed class FileTable(Database database)
{
    public void Insert(FileRecord file) => database.Execute(
        """
        INSERT INTO files (id, owner, name, purpose, bytes, lines, created_at, expires_at)
        VALUES ($id, $owner, $name, $purpose, $bytes, $lines, $created_at, $expires_at)
        """,
        ("$id", file.Id),
        ("$owner", file.Owner),
        ("$name", file.Name),
        ("$purpose", file.Purpose),
        ("$bytes", file.Bytes),
        ("$lines", file.Lines),
        ("$created_at", file.CreatedAt.ToUnixTimeMilliseconds()),
        ("$expires_at", file.ExpiresAt?.ToUnixTimeMilliseconds()));

    /// <summary>Returns a file of any owner, expired or not; null if it does not exist.</summary>
    public FileRecord? Find(string id) =>
        database.Query("SELECT * FROM files WHERE id = $id", Read, ("$id", id)).FirstOrDefault();

    /// <summary>Returns a page of an owner's files, ordered by age; null if <paramref name="after"/> is not the ID of one of them.</summary>
    public List<FileRecord>? List(string owner, DateTimeOffset now, string? purpose, bool newestFirst, string? after, int limit)
    {
        long? edge = null;
        if (after is not null)
        {
            edge = database.Query(
                "SELECT seq FROM files WHERE id = $id AND owner = $owner", row => (long?)row.GetInt64(0), ("$id", after), ("$owner", owner)).FirstOrDefault();
            if (edge is null)
            {
                return null;
            }
        }

        const string Start = $"SELECT * FROM files WHERE owner = $owner AND {Expiry.NotExpiredSql} AND ($purpose IS NULL OR purpose = $purpose)";
        string sql = newestFirst
            ? $"{Start} AND ($edge IS NULL OR seq < $edge) ORDER BY seq DESC LIMIT $limit"
            : $"{Start} AND ($edge IS NULL OR seq > $edge) ORDER BY seq LIMIT $limit";
        return database.Query(
            sql, Read, ("$owner", owner), ("$now", now.ToUnixTimeMilliseconds()), ("$purpose", purpose), ("$edge", edge), ("$limit", limit));
    }

    /// <summary>Returns the files that have expired.</summary>
    public List<FileRecord> Expired(DateTimeOffset now) =>
        database.Query($"SELECT * FROM files WHERE {Expiry.ExpiredSql}", Read, ("$now", now.ToUnixTimeMilliseconds()));

    public void Delete(string id) => database.Execute("DELETE FROM files WHERE id = $id", ("$id", id));

    private static FileRecord Read(SqliteDataReader row) => new()
    {
        Id = row.Text("id")!,
        Owner = row.Text("owner")!,
        Name = row.Text("name")!,
        Purpose = row.Text("purpose")!,
        Bytes = row.Integer("bytes")!.Value,
        Lines = row.Integer("lines"),
        CreatedAt = row.Time("created_at")!.Value,
        ExpiresAt = row.Time("expires_at"),
    };
}
