namespace InferenceBatch.Server.Storage;

/// <summary>The upstream that the service was last started with, so that unfinished batches are not completed by another one unnoticed.</summary>
internal static class UpstreamTable
{
    private const string Schema = "CREATE TABLE IF NOT EXISTS upstream (address TEXT NOT NULL);";

    /// <summary>The address without its query, or <c>echo</c>; null before the first start.</summary>
    public static string? Read(Database database)
    {
        database.Execute(Schema);
        return database.Query("SELECT address FROM upstream", row => row.GetString(0)).FirstOrDefault();
    }

    /// <summary>Keeps the upstream's address.</summary>
    public static void Write(Database database, string address) => database.Write(() =>
    {
        database.Execute("DELETE FROM upstream");
        database.Execute("INSERT INTO upstream VALUES ($address)", ("$address", address));
    });
}
