using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The ID of the service, which is created once and stored in its database. With it a caller can tell whether the service
/// at an address has its batches, even if the port has changed.
/// </summary>
internal static class InstanceTable
{
    public const string Schema = "CREATE TABLE IF NOT EXISTS instance (id TEXT NOT NULL);";

    private const int DiskIsFull = 13; // SQLITE_FULL

    /// <summary>Returns the ID and creates it if necessary. Returns null if the disk is too full to store it; the next start retries.</summary>
    public static string? Open(Database database)
    {
        try
        {
            database.Execute(Schema);
            database.Execute("INSERT INTO instance SELECT $id WHERE NOT EXISTS (SELECT 1 FROM instance)", ("$id", Ids.NewInstance()));
            return database.Query("SELECT id FROM instance", row => row.GetString(0))[0];
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode == DiskIsFull)
        {
            return null;
        }
    }
}
