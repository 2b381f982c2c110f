using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The records of the service in SQLite. WAL and synchronous=FULL make confirmed writes survive a power cut. One connection
/// serves one caller at a time, because each call reads or writes a few rows by key. The file is locked while it is open, so
/// that no transaction of another program can delay a caller.
/// </summary>
internal sealed class Database : IDisposable
{
    private const int SchemaVersion = 1;
    private const int Busy = 5; // SQLITE_BUSY
    private const int Damaged = 11; // SQLITE_CORRUPT
    private const int NotADatabase = 26; // SQLITE_NOTADB
    private const int TimeoutSeconds = 3;

    private const string Schema = """
        CREATE TABLE files (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, name TEXT NOT NULL,
            purpose TEXT NOT NULL, bytes INTEGER NOT NULL, lines INTEGER, created_at INTEGER NOT NULL, expires_at INTEGER);
        CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE batches (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, endpoint TEXT NOT NULL,
            input_file_id TEXT NOT NULL, completion_window TEXT NOT NULL, metadata TEXT NOT NULL, webhook_url TEXT,
            output_expires_after INTEGER, status TEXT NOT NULL, outcome TEXT, model TEXT, errors TEXT,
            output_file_id TEXT, error_file_id TEXT, total INTEGER NOT NULL, completed INTEGER NOT NULL, failed INTEGER NOT NULL,
            usage TEXT, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, in_progress_at INTEGER, finalizing_at INTEGER,
            completed_at INTEGER, failed_at INTEGER, expired_at INTEGER, cancelling_at INTEGER, cancelled_at INTEGER);
        CREATE INDEX batches_by_owner ON batches (owner, seq);
        CREATE INDEX batches_by_input ON batches (input_file_id);
        CREATE INDEX batches_by_status ON batches (status);
        """;

    private readonly SqliteConnection _connection;

    private Database(SqliteConnection connection)
    {
        _connection = connection;
        Files = new FileTable(this);
        Batches = new BatchTable(this);
        Statistics = new StatisticsTable(this);
        Events = new EventTable(this);
    }

    public FileTable Files { get; }

    public BatchTable Batches { get; }

    public StatisticsTable Statistics { get; }

    public EventTable Events { get; }

    /// <summary>The ID of the service (see <see cref="InstanceTable"/>); null if the disk was full when it should be created.</summary>
    public string? Instance { get; private set; }

    /// <summary>Opens the database, or creates it.</summary>
    /// <exception cref="SqliteException">The database cannot be opened.</exception>
    /// <exception cref="InvalidDataException">The file is damaged or not a database, or was created by a later version.</exception>
    /// <exception cref="IOException">Another program has the database open.</exception>
    public static Database Open(string path, bool isDurable = true)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Pooling = false,
            DefaultTimeout = TimeoutSeconds,
        }.ToString());
        var database = new Database(connection);
        try
        {
            connection.Open();
            database.Prepare(path, isDurable);
            return database;
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode == Busy)
        {
            database.Dispose();
            throw new IOException($"Another program has '{path}' open, such as sqlite3 or a backup. Close it, then start the service again.", exception);
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode is Damaged or NotADatabase)
        {
            database.Dispose();
            throw new InvalidDataException(
                $"'{path}' is damaged or not a database. Restore the data folder from a backup, or move the folder away to start with an empty one.", exception);
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Runs <paramref name="work"/> as one transaction, while no other caller uses the database.</summary>
    public void Write(Action work)
    {
        lock (_connection)
        {
            using SqliteTransaction transaction = _connection.BeginTransaction();
            work();
            transaction.Commit();
        }
    }

    /// <summary>Runs a query and returns one item per row.</summary>
    public List<T> Query<T>(string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        lock (_connection)
        {
            using SqliteCommand command = Command(sql, values);
            using SqliteDataReader reader = command.ExecuteReader();
            var items = new List<T>();
            while (reader.Read())
            {
                items.Add(read(reader));
            }

            return items;
        }
    }

    /// <summary>Runs a statement and returns the number of changed rows.</summary>
    public int Execute(string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        lock (_connection)
        {
            using SqliteCommand command = Command(sql, values);
            return command.ExecuteNonQuery();
        }
    }

    public void Dispose() => _connection.Dispose();

    private void Prepare(string path, bool isDurable)
    {
        Execute("PRAGMA locking_mode = EXCLUSIVE"); // Before the first access to the journal, so that its index is kept in memory.
        Execute("PRAGMA journal_mode = WAL");
        Execute(isDurable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
        long version = Query("PRAGMA user_version", row => row.GetInt64(0))[0];
        if (version > SchemaVersion)
        {
            throw new InvalidDataException($"'{path}' was created by a later version of inference-batch. Use that version, or another folder with --data.");
        }

        if (version == 0)
        {
            Write(() => Execute($"{Schema} PRAGMA user_version = {SchemaVersion}"));
        }

        Execute(StatisticsTable.Schema);
        Execute(EventTable.Schema);
        Instance = InstanceTable.Open(this);
    }

    private SqliteCommand Command(string sql, ReadOnlySpan<(string Name, object? Value)> values)
    {
        SqliteCommand command = _connection.CreateCommand();
#pragma warning disable CA2100 // Every statement is a constant of a table; values are passed as parameters.
        command.CommandText = sql;
#pragma warning restore CA2100
        foreach ((string name, object? value) in values)
        {
            command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        }

        return command;
    }
}
