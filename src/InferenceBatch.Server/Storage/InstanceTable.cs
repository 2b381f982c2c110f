using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The identity of the service: made once with its database, and kept with it, so that a caller can tell whether the service
/// at an address is the one that has its batches, whatever port it was given.
/// </summary>
internal static class InstanceTable
{
    public const string Schema = "CREATE TABLE IF NOT EXISTS instance (id TEXT NOT NULL);";

    private const int Full = 13; // SQLITE_FULL

    /// <summary>The id; made where there is none. Null where the disk has no room for it: the next start tries again.</summary>
    public static string? Open(Database database)
    {
        try
        {
            database.Execute(Schema);
            database.Execute("INSERT INTO instance SELECT $id WHERE NOT EXISTS (SELECT 1 FROM instance)", ("$id", Ids.NewInstance()));
            return database.Query("SELECT id FROM instance", row => row.GetString(0))[0];
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode == Full)
        {
            return null;
        }
    }
}
