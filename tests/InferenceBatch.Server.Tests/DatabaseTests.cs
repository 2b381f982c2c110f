using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Tests.Support;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Tests;

/// <summary>The database, when it is damaged or another program such as sqlite3 uses it.</summary>
public sealed class DatabaseTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_database_that_another_program_has_open_is_reported_within_seconds()
    {
        string path = _folder.File("batches.db");
        Database.Open(path).Dispose();
        using SqliteConnection other = Hold(path);
        Assert.Contains("Another program has", Assert.Throws<IOException>(() => Database.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_a_database_is_reported_with_the_remedy()
    {
        string path = _folder.File("batches.db", new string('x', 8192));
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path]);
        Assert.Equal(2, exitCode);
        Assert.Contains($"'{path}' is damaged or not a database", errors, StringComparison.Ordinal);
        Assert.Contains("backup", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Transactions_of_other_programs_cannot_delay_the_service()
    {
        await using TestService service = await TestService.StartAsync(folder: _folder);
        SqliteException refused = Assert.Throws<SqliteException>(() => Hold(_folder.File("batches.db")));
        Assert.Equal(5, refused.SqliteErrorCode); // SQLITE_BUSY
        string id = await service.Api.SubmitAsync(Requests.File(2));
        Assert.Equal("completed", (await service.Api.EndAsync(id)).GetProperty("status").GetString());
    }

    [Theory]
    [InlineData(-1, false)]
    [InlineData(0, true)]
    [InlineData(1, true)]
    public void Code_and_sql_agree_when_a_file_expires(int millisecondsAfterExpiry, bool hasExpired)
    {
        using var database = Database.Open(_folder.File("batches.db"));
        var expiresAt = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        DateTimeOffset now = expiresAt.AddMilliseconds(millisecondsAfterExpiry);
        foreach (DateTimeOffset? at in new DateTimeOffset?[] { expiresAt, null })
        {
            database.Files.Insert(new FileRecord
            {
                Id = Ids.NewFile(),
                Owner = "",
                Name = "in.jsonl",
                Purpose = "batch",
                Bytes = 1,
                CreatedAt = expiresAt.AddDays(-1),
                ExpiresAt = at,
            });
        }

        Assert.Equal(hasExpired, Expiry.IsReached(expiresAt, now));
        Assert.False(Expiry.IsReached(null, now));
        Assert.Equal(hasExpired ? 1 : 0, database.Files.Expired(now).Count);
        Assert.Equal(hasExpired ? 1 : 2, database.Files.List("", now, purpose: null, newestFirst: true, after: null, limit: 10)!.Count);
        Assert.Equal(hasExpired ? 1 : 2, database.Files.List("", now, purpose: null, newestFirst: false, after: null, limit: 10)!.Count);
    }

    private static SqliteConnection Hold(string path)
    {
        var connection = new SqliteConnection($"Data Source={path};Pooling=False;Default Timeout=1");
        try
        {
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = "BEGIN EXCLUSIVE";
            command.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
