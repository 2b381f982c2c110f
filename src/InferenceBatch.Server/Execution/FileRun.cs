using System.Security.Cryptography;
using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Execution.Upstreams;
using InferenceBatch.Server.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace InferenceBatch.Server.Execution;

/// <summary>
/// A batch without a service: a file in, two files out. While it runs they are called <c>….partial</c>; started again
/// it goes on where they end, and after its end it only says once more how it went.
/// </summary>
internal sealed class FileRun : IDisposable
{
    private readonly FileRunPaths _paths;
    private readonly EngineSettings _settings;
    private readonly GroupSync _sync;
    private readonly FileStream _lock;
    private readonly LineRun _run;
    private readonly FileStamp _stamp;
    private readonly string _key;

    private FileRun(FileRunPaths paths, EngineSettings settings, GroupSync sync, FileStream @lock, LineRun run, FileStamp stamp, string key)
    {
        _stamp = stamp;
        _key = key;
        _paths = paths;
        _settings = settings;
        _sync = sync;
        _lock = @lock;
        _run = run;
    }

    public RequestCounts Counts => _run.Counts;

    public TokenUsage? Usage => _run.Usage;

    /// <summary>Opens the files of a run whose input was found valid.</summary>
    /// <param name="endpoint">Where the lines are sent.</param>
    /// <param name="spans">The input's requests.</param>
    /// <param name="stamp">The input's, from before it was checked.</param>
    /// <exception cref="IOException">A file cannot be opened, or another process runs to the same output.</exception>
    /// <exception cref="InvalidDataException">An output is there already, and of another input.</exception>
    public static FileRun Open(FileRunPaths paths, string endpoint, RequestSpan[] spans, FileStamp stamp, EngineSettings settings)
    {
        FileStream @lock = TakeLock(paths.Lock);
        var sync = new GroupSync(NullLogger.Instance);
        try
        {
            string key = KeyOf(paths.Input, endpoint);
            if (FileStamp.Of(paths.Input) != stamp)
            {
                throw new IOException($"'{paths.Input}' was changed while it was read.");
            }

            var run = new LineRun(endpoint, paths.Input, spans, onLine => ResultLog.Open(
                key, FileRunPaths.Current(paths.Output), FileRunPaths.Current(paths.Errors), sync, onLine));
            return new FileRun(paths, settings, sync, @lock, run, stamp, key);
        }
        catch
        {
            sync.Dispose();
            paths.DeleteEmptyPartials();
            @lock.Dispose();
            throw;
        }
    }

    /// <summary>Runs the lines that have no answer yet; false when it was stopped before the end, and can be gone on with.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
    /// <exception cref="InvalidDataException">The input was changed meanwhile: nobody knows what the results answer.</exception>
    public async Task<bool> RunAsync(IUpstream upstream, TimeProvider time, ILogger logger, CancellationToken stop)
    {
        // There is no window that ends the wait for an upstream that never comes.
        EngineSettings settings = _settings with { WaitsForUpstream = false };
        using var dispatcher = new LineDispatcher(upstream, settings, time, new Troubles(time, logger), logger);
        dispatcher.Add(_run);
        try
        {
            await _run.Finished.WaitAsync(stop);
        }
        catch (OperationCanceledException)
        {
            await dispatcher.StopAsync(_run, _settings.StopGrace, CancellationToken.None);
        }

        _run.Log.Sync();
        if (!_run.Finished.IsCompleted)
        {
            return false;
        }

        if (File.Exists(_paths.Input) && FileStamp.Of(_paths.Input) != _stamp && KeyOf(_paths.Input, _run.Endpoint) != _key)
        {
            throw new InvalidDataException($"'{_paths.Input}' was changed while its lines ran; the results so far are left in '{_run.Log.Output.Path}'.");
        }

        Finish(_run.Log.Output.Path, _paths.Output);
        Finish(_run.Log.Errors.Path, _paths.Errors);
        return true;
    }

    public void Dispose()
    {
        _run.Dispose();
        _sync.Dispose();
        _lock.Dispose();
    }

    private static void Finish(string from, string to)
    {
        if (from != to)
        {
            File.Move(from, to);
            FolderSync.Sync(Path.GetDirectoryName(to)!);
        }
    }

    private static FileStream TakeLock(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException exception) when (File.Exists(path))
        {
            throw new IOException($"Another inference-batch is running to the same output ('{path}' is locked).", exception);
        }
    }

    /// <summary>Names the input in line ids by its content, so that results are never taken for those of another.</summary>
    private static string KeyOf(string input, string endpoint)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(endpoint + "\n"));
        using var stream = new FileStream(input, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        byte[] chunk = new byte[128 * 1024];
        int read;
        while ((read = stream.Read(chunk)) > 0)
        {
            hash.AppendData(chunk, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 12));
    }
}
