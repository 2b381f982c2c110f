using System.Security.Cryptography;
using System.Text;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.ResultFiles;
using Microsoft.Extensions.Logging.Abstractions;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// A batch without a service: a file in, two files out. While it runs they are called <c>….partial</c>; started again
/// it goes on where they end, and after its end it only says once more how it went.
/// </summary>
internal sealed class FileRun : IDisposable
{
    private readonly FileRunPaths _paths;
    private readonly EngineSettings _settings;
    private readonly GroupSync _sync;
    private readonly List<FileStream> _locks;
    private readonly LineRun _run;
    private readonly FileStamp _stamp;
    private readonly string _key;

    private FileRun(FileRunPaths paths, EngineSettings settings, GroupSync sync, List<FileStream> locks, LineRun run, FileStamp stamp, string key)
    {
        _stamp = stamp;
        _key = key;
        _paths = paths;
        _settings = settings;
        _sync = sync;
        _locks = locks;
        _run = run;
    }

    public RequestCounts Counts => _run.Counts;

    public TokenUsage? Usage => _run.Usage;

    /// <summary>How often lines were sent again since this process began.</summary>
    public RetryCounts Retries => _run.Retries;

    /// <summary>Opens the files of a run whose input was found valid.</summary>
    /// <param name="endpoint">Where the lines are sent.</param>
    /// <param name="spans">The input's requests.</param>
    /// <param name="stamp">The input's, from before it was checked.</param>
    /// <exception cref="IOException">A file cannot be opened, or another process runs to the same output or errors.</exception>
    /// <exception cref="InvalidDataException">An output is there already, and of another input.</exception>
    public static FileRun Open(FileRunPaths paths, string endpoint, RequestSpan[] spans, FileStamp stamp, EngineSettings settings)
    {
        List<FileStream> locks = TakeLocks(paths);
        var sync = new GroupSync(NullLogger.Instance);
        try
        {
            string key = KeyOf(paths.Input, endpoint);
            if (FileStamp.Of(paths.Input) != stamp)
            {
                throw new IOException($"'{paths.Input}' was changed while it was read.");
            }

            string output = FileRunPaths.Current(paths.Output);
            string errors = FileRunPaths.Current(paths.Errors);
            CheckWhole(paths.Output);
            CheckWhole(paths.Errors);
            var recovered = new RecoveredLines(spans);
            var run = new LineRun(endpoint, paths.Input, spans, ResultFilePair.Open(key, output, errors, sync, recovered.Add), recovered);
            return new FileRun(paths, settings, sync, locks, run, stamp, key);
        }
        catch
        {
            sync.Dispose();
            paths.DeleteEmptyPartials();
            locks.ForEach(held => held.Dispose());
            throw;
        }
    }

    /// <summary>Runs the lines that have no answer yet; false when it was stopped before the end, and can be gone on with.</summary>
    /// <exception cref="IOException">The disk refused, or a file of a result file's name has come to be.</exception>
    /// <exception cref="UpstreamException">The upstream was away for too long; the run can be gone on with.</exception>
    /// <exception cref="InvalidDataException">The input was changed meanwhile: nobody knows what the results answer.</exception>
    public async Task<bool> RunAsync(UpstreamControl upstream, TimeProvider time, ILogger logger, CancellationToken stop)
    {
        using var dispatcher = new LineDispatcher(upstream, _settings, time, new HealthIssues(time, logger), logger);
        dispatcher.Add(_run);
        await _run.Finished.WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_run.Finished.IsCompletedSuccessfully)
        {
            await dispatcher.StopAsync(_run, _settings.StopGrace, CancellationToken.None);
        }

        _run.Results.Sync();
        if (_run.Finished.IsFaulted)
        {
            await _run.Finished;
        }

        if (!_run.Finished.IsCompleted)
        {
            return false;
        }

        if (File.Exists(_paths.Input) && FileStamp.Of(_paths.Input) != _stamp && KeyOf(_paths.Input, _run.Endpoint) != _key)
        {
            throw new InvalidDataException($"'{_paths.Input}' was changed while its lines ran; the results so far are left in '{_run.Results.Output.Path}'.");
        }

        Finish(_run.Results.Output.Path, _paths.Output);
        Finish(_run.Results.Errors.Path, _paths.Errors);
        return true;
    }

    public void Dispose()
    {
        _run.Dispose();
        _sync.Dispose();
        _locks.ForEach(held => held.Dispose());
    }

    /// <summary>A file has its own name when it is whole: what stands in it then and is no result was added by somebody, and is not to be cut.</summary>
    private static void CheckWhole(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using var reader = new LineReader(File.OpenRead(path));
        while (reader.Read())
        {
            if (!ResultFileWriter.IsOwn(reader.Line.Span))
            {
                throw new InvalidDataException($"'{path}' holds something else than results in line {reader.Number}.");
            }
        }
    }

    private static void Finish(string from, string to)
    {
        if (from != to)
        {
            try
            {
                File.Move(from, to);
            }
            catch (IOException exception) when (File.Exists(to))
            {
                throw new IOException(
                    $"'{to}' was made by somebody else meanwhile: the results are in '{from}'. Move '{to}' away; the same command then ends the run, and sends nothing.", exception);
            }

            FolderSync.Sync(Path.GetDirectoryName(to)!);
        }
    }

    private static List<FileStream> TakeLocks(FileRunPaths paths)
    {
        var taken = new List<FileStream>();
        try
        {
            foreach (string path in paths.Locks)
            {
                taken.Add(TakeLock(path));
            }

            return taken;
        }
        catch
        {
            taken.ForEach(held => held.Dispose());
            throw;
        }
    }

    private static FileStream TakeLock(string path)
    {
        if (new FileInfo(path) is { Exists: true, Length: > 0 })
        {
            throw new InvalidDataException($"'{path}' is somebody's own: a run would take it for its lock, which holds nothing, and delete it.");
        }

        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException exception) when (File.Exists(path))
        {
            throw new IOException($"Another inference-batch is running to the same file ('{path}' is locked).", exception);
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
