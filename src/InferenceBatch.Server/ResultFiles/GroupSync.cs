using System.Diagnostics;
using InferenceBatch.Lines;
using InferenceBatch.Server.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>
/// Brings written lines to the disk in groups, on a thread of its own: 50 ms after the first line, or with the 256th.
/// One fsync then serves hundreds of lines, and no worker waits for the disk.
/// </summary>
internal sealed class GroupSync : IDisposable
{
    private const int MaxLines = 256;

    private static readonly TimeSpan s_longest = TimeSpan.FromMilliseconds(50);

    private readonly Lock _fileLock = new();
    private readonly object _gate = new();
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private HashSet<ResultFileWriter> _written = [];
    private int _lines;
    private readonly bool _isDurable;
    private bool _isStopping;
    private bool _isRefused;

    /// <param name="logger">Told when the disk begins to refuse.</param>
    /// <param name="isDurable">False to sync nothing: it shows what durability costs.</param>
    public GroupSync(ILogger logger, bool isDurable = true)
    {
        _logger = logger;
        Flush = isDurable ? RandomAccess.FlushToDisk : _ => { };
        _isDurable = isDurable;
        _thread = new Thread(Run) { IsBackground = true, Name = "group sync" };
        _thread.Start();
    }

    /// <summary>Brings what was written to a file to the disk.</summary>
    public Action<SafeFileHandle> Flush { get; }

    /// <summary>Says that lines were added to a file.</summary>
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

    /// <summary>Forgets a file that is about to be closed; returns once no sync of it is under way.</summary>
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
            while (_lines < MaxLines && !_isStopping && s_longest - Stopwatch.GetElapsedTime(start) is { Ticks: > 0 } left)
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

            _isRefused = false;
        }
        catch (IOException exception)
        {
            // The batch syncs once more before it ends, and that one is not forgiven.
            if (!_isRefused)
            {
                Log.SyncRefused(_logger, exception.Message);
            }

            _isRefused = true;
        }
    }
}
