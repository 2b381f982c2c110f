using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Batches;

/// <summary>The services that all batches share: the data folder, the upstream and the limits.</summary>
internal sealed class EngineServices : IDisposable
{
    /// <summary>How many batches run at the same time. Each has three open files.</summary>
    private const int MaxRunning = 128;

    private readonly GroupSync _sync;

    public EngineServices(DataFolder folder, UpstreamControl upstream, EngineSettings settings, TimeProvider time, ILogger logger)
    {
        Folder = folder;
        Upstream = upstream;
        Settings = settings;
        Time = time;
        Logger = logger;
        Database = Database.Open(folder.DatabasePath, folder.IsDurable);
        Files = new FileStore(folder, Database, time);
        Files.Recover();
        _sync = new GroupSync(logger, folder.IsDurable);
        ResultFiles = new ResultFileStore(folder, Files, _sync);
        HealthIssues = new HealthIssues(time, logger);
        Dispatcher = new LineDispatcher(upstream, settings, time, HealthIssues, logger);
        Progress = new ProgressKeeper(Database, time);
    }

    public DataFolder Folder { get; }

    public UpstreamControl Upstream { get; }

    public EngineSettings Settings { get; }

    public TimeProvider Time { get; }

    public ILogger Logger { get; }

    public Database Database { get; }

    public FileStore Files { get; }

    public ResultFileStore ResultFiles { get; }

    public LineDispatcher Dispatcher { get; }

    public ProgressKeeper Progress { get; }

    public HealthIssues HealthIssues { get; }

    public InputCheck Check { get; } = new();

    /// <summary>Limits how many batches run. The others wait in order.</summary>
    public SemaphoreSlim Turns { get; } = new(MaxRunning);

    /// <summary>Limits how many changes of state are stored at the same time.</summary>
    public SemaphoreSlim Saving { get; } = new(1);

    public void Dispose()
    {
        Dispatcher.Dispose();
        Progress.Dispose();
        _sync.Dispose();
        Check.Dispose();
        Turns.Dispose();
        Saving.Dispose();
        Database.Dispose();
        Upstream.Dispose();
        Folder.Dispose();
    }
}
