namespace InferenceBatch.Server.Storage;

/// <summary>The statistics of each batch as JSON, in a separate table because they are written often.</summary>
internal sealed class StatisticsTable(Database database)
{
    public const string Schema =
        "CREATE TABLE IF NOT EXISTS batch_statistics (batch_id TEXT NOT NULL PRIMARY KEY, statistics TEXT NOT NULL) WITHOUT ROWID;";

    public void Keep(string batchId, string json) => database.Execute(
        "INSERT INTO batch_statistics VALUES ($id, $json) ON CONFLICT (batch_id) DO UPDATE SET statistics = $json",
        ("$id", batchId),
        ("$json", json));

    public string? Find(string batchId) => database.Query(
        "SELECT statistics FROM batch_statistics WHERE batch_id = $id", row => row.GetString(0), ("$id", batchId)).FirstOrDefault();
}
