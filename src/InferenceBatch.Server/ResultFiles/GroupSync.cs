using System.Diagnostics;
using InferenceBatch.Lines;
using InferenceBatch.Server.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>
/// Syncs written lines to the disk in groups, on a separate thread: 50 ms after the first line, or with the 256th. So one
/// fsync serves hundreds of lines, and no worker waits for the disk.
/// </summary>
internal sealed class GroupSync : IDisposable
{
    private const int MaxLines = 256;

    private static readonly TimeSpan s_maxDelay = TimeSpan.FromMilliseconds(50);

    private readonly Lock _fileLock = new();
    private readonly object _gate = new();
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private HashSet<ResultFileWriter> _written = [];
    private int _lines;
    private readonly bool _isDurable;
    private bool _isStopping;
    private bool _hasFailed;

    /// <param name="logger">Logs when the first sync fails.</param>
    /// <param name="isDurable">False to sync nothing, to measure the cost of durability.</param>
    public GroupSync(ILogger logger, bool isDurable = true)
    {
        _logger = logger;
        Flush = isDurable ? RandomAccess.FlushToDisk : _ => { };
        _isDurable = isDurable;
        _thread = new Thread(Run) { IsBackground = true, Name = "group sync" };
        _thread.Start();
    }

    /// <summary>Syncs a file to the disk.</summary>
    public Action<SafeFileHandle> Flush { get; }

    /// <summary>Call this when lines were added to a file.</summary>
    public void Written(ResultFileWriter file, int count)
    {
        lock (_gate)
        {
            bool wasEmpty = _lines == 0;
            bool wasLess = _lines < MaxLines;
            _written.Add(file);
            _lines += count;
            if (wasEmpty || (wasLess && _lines >= MaxLines))
            {
                Monitor.Pulse(_gate);
            }
        }
    }

    /// <summary>Removes a file before it is closed. Returns when no sync of it is running.</summary>
    public void Forget(ResultFileWriter file)
    {
        lock (_gate)
        {
            _written.Remove(file);
        }

        lock (_fileLock)
        {
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isStopping = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
    }

    private void Run()
    {
        while (WaitForGroup())
        {
            lock (_fileLock)
            {
                HashSet<ResultFileWriter> group;
                lock (_gate)
                {
                    group = _written;
                    _written = [];
                    _lines = 0;
                }

                foreach (ResultFileWriter file in group)
                {
                    Sync(file);
                }
            }
        }
    }

    private bool WaitForGroup()
    {
        lock (_gate)
        {
            while (_lines == 0 && !_isStopping)
            {
                Monitor.Wait(_gate);
            }

            long start = Stopwatch.GetTimestamp();
            while (_lines < MaxLines && !_isStopping && s_maxDelay - Stopwatch.GetElapsedTime(start) is { Ticks: > 0 } left)
            {
                Monitor.Wait(_gate, left);
            }

            return !_isStopping;
        }
    }

    private void Sync(ResultFileWriter file)
    {
        try
        {
            file.Sync();
            if (_isDurable && !file.IsFolderSynced)
            {
                FolderSync.Sync(Path.GetDirectoryName(file.Path)!);
                file.IsFolderSynced = true;
            }

            _hasFailed = false;
        }
        catch (IOException exception)
        {
            // The batch syncs once more before it ends. A failure of that sync is not ignored.
            if (!_hasFailed)
            {
                Log.SyncRefused(_logger, exception.Message);
            }

            _hasFailed = true;
        }
    }
}
