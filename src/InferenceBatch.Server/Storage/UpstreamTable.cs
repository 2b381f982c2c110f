namespace InferenceBatch.Server.Storage;

/// <summary>The upstream of the last start, so that another upstream does not complete unfinished batches unnoticed.</summary>
internal static class UpstreamTable
{
    private const string Schema = "CREATE TABLE IF NOT EXISTS upstream (address TEXT NOT NULL);";

    /// <summary>Returns the address without its query, or <c>echo</c>; null before the first start.</summary>
    public static string? Read(Database database)
    {
        database.Execute(Schema);
        return database.Query("SELECT address FROM upstream", row => row.GetString(0)).FirstOrDefault();
    }

    /// <summary>Stores the address of the upstream.</summary>
    public static void Write(Database database, string address) => database.Write(() =>
    {
        database.Execute("DELETE FROM upstream");
        database.Execute("INSERT INTO upstream VALUES ($address)", ("$address", address));
    });
}
