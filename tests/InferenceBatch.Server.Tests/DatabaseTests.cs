using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Tests.Support;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Tests;

/// <summary>The database and other programs that want it, such as sqlite3 in somebody's hands.</summary>
public sealed class DatabaseTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void One_that_another_program_holds_is_said_so_within_seconds()
    {
        string path = _folder.File("batches.db");
        Database.Open(path).Dispose();
        using SqliteConnection other = Hold(path);
        Assert.Contains("Another program has", Assert.Throws<IOException>(() => Database.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_none_is_named_with_what_to_do()
    {
        string path = _folder.File("batches.db", new string('x', 8192));
        (int exitCode, _, string errors) = await ServerProcess.RunAsync(["serve", "--urls", "http://127.0.0.1:0", "--data", _folder.Path]);
        Assert.Equal(2, exitCode);
        Assert.Contains($"'{path}' is damaged, or no database", errors, StringComparison.Ordinal);
        Assert.Contains("backup", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_elses_transaction_can_make_the_service_wait()
    {
        await using TestService service = await TestService.StartAsync(folder: _folder);
        SqliteException refused = Assert.Throws<SqliteException>(() => Hold(_folder.File("batches.db")));
        Assert.Equal(5, refused.SqliteErrorCode); // SQLITE_BUSY
        string id = await service.Api.SubmitAsync(Requests.File(2));
        Assert.Equal("completed", (await service.Api.EndAsync(id)).GetProperty("status").GetString());
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
