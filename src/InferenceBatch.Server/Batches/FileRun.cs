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
/// A batch without a service: it reads one file and writes two. During the run the names of the result files end with
/// <c>.partial</c>. The same run resumes from them. After the end, it only reports the result again.
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

    /// <summary>How often this process retried lines.</summary>
    public RetryCounts Retries => _run.Retries;

    /// <summary>Opens the files of a run. The input must be valid.</summary>
    /// <param name="endpoint">The endpoint that the lines are sent to.</param>
    /// <param name="spans">The requests of the input.</param>
    /// <param name="stamp">The stamp of the input before it was validated.</param>
    /// <exception cref="IOException">A file cannot be opened, or another process writes the same result files.</exception>
    /// <exception cref="InvalidDataException">A result file exists and belongs to another input.</exception>
    public static FileRun Open(FileRunPaths paths, string endpoint, RequestSpan[] spans, FileStamp stamp, EngineSettings settings)
    {
        List<FileStream> locks = TakeLocks(paths);
        var sync = new GroupSync(NullLogger.Instance);
        try
        {
            string key = KeyOf(paths.Input, endpoint);
            if (FileStamp.Of(paths.Input) != stamp)
            {
                throw new IOException($"'{paths.Input}' was changed while it was validated. Run the command again.");
            }

            string output = FileRunPaths.Current(paths.Output);
            string errors = FileRunPaths.Current(paths.Errors);
            CheckIsOwn(paths.Output);
            CheckIsOwn(paths.Errors);
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

    /// <summary>Runs the lines that have no result. Returns false if it was stopped before the end; the run can be resumed then.</summary>
    /// <exception cref="IOException">The disk is full or failing, or another program has created a file with the name of a result file.</exception>
    /// <exception cref="UpstreamException">The upstream was unavailable for too long. The run can be resumed.</exception>
    /// <exception cref="InvalidDataException">The input was changed during the run, so it is unknown which requests the results belong to.</exception>
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
            throw new InvalidDataException($"'{_paths.Input}' was changed while its lines were processed. The results so far are in '{_run.Results.Output.Path}'.");
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

    /// <summary>A result file has its final name only when it is complete. If it contains other content, another program has added it, and it must not be removed.</summary>
    private static void CheckIsOwn(string path)
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
                throw new InvalidDataException($"Line {reader.Number} of '{path}' is not a result.");
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
                    $"Another program has created '{to}' during the run, so the results are in '{from}'. Move '{to}' away and run the same command again: it completes the run without sending anything.", exception);
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
            throw new InvalidDataException($"'{path}' was not written by a run, because it is not empty. A run would use it as its lock file and delete it.");
        }

        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException exception) when (File.Exists(path))
        {
            throw new IOException($"Another inference-batch process writes the same file ('{path}' is locked).", exception);
        }
    }

    /// <summary>Returns the part of the line IDs that identifies the input by its content, so that results are never assigned to another input.</summary>
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
