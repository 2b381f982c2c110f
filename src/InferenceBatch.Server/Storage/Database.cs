using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The service's records in SQLite: WAL, synchronous=FULL, so that what was answered survives a power cut. One
/// connection, one caller at a time: each call is a few rows by key. The file is locked while it is open: nobody else's
/// transaction can make a caller wait.
/// </summary>
internal sealed class Database : IDisposable
{
    private const int SchemaVersion = 1;
    private const int Busy = 5; // SQLITE_BUSY
    private const int Damaged = 11; // SQLITE_CORRUPT
    private const int NoDatabase = 26; // SQLITE_NOTADB
    private const int PatienceSeconds = 3;

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

    /// <summary>See <see cref="InstanceTable"/>.</summary>
    public string? Instance { get; private set; }

    /// <summary>Opens the database, and makes it where there is none.</summary>
    /// <exception cref="SqliteException">It cannot be opened.</exception>
    /// <exception cref="InvalidDataException">It is damaged, or no database, or was made by a later version.</exception>
    /// <exception cref="IOException">Another program has it open.</exception>
    public static Database Open(string path, bool isDurable = true)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Pooling = false,
            DefaultTimeout = PatienceSeconds,
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
            throw new IOException($"Another program has '{path}' open, such as sqlite3 or a backup. Start again once it is closed.", exception);
        }
        catch (SqliteException exception) when (exception.SqliteErrorCode is Damaged or NoDatabase)
        {
            database.Dispose();
            throw new InvalidDataException(
                $"'{path}' is damaged, or no database. Put the data folder's last backup in its place, or move the folder away to begin anew.", exception);
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>Runs some work as one transaction, alone.</summary>
    public void Write(Action work)
    {
        lock (_connection)
        {
            using SqliteTransaction transaction = _connection.BeginTransaction();
            work();
            transaction.Commit();
        }
    }

    /// <summary>Runs a query; each row becomes one item.</summary>
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

    /// <summary>Runs a statement; gives the number of rows it changed.</summary>
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
        Execute("PRAGMA locking_mode = EXCLUSIVE"); // Before the journal is touched: its index is then kept in memory.
        Execute("PRAGMA journal_mode = WAL");
        Execute(isDurable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
        long version = Query("PRAGMA user_version", row => row.GetInt64(0))[0];
        if (version > SchemaVersion)
        {
            throw new InvalidDataException($"'{path}' was made by a later version of inference-batch.");
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
#pragma warning disable CA2100 // Every text is a constant of the tables; values travel as parameters.
        command.CommandText = sql;
#pragma warning restore CA2100
        foreach ((string name, object? value) in values)
        {
            command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        }

        return command;
    }
}
