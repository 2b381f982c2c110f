using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// A run on disk: the requests as parts, the downloaded results, and a journal of all steps, so that the run can be resumed
/// after its process was killed at any time. A lock allows one process at a time.
/// </summary>
/// <remarks>See <see cref="RunJournal"/>. A file gets its final name only when it is complete.</remarks>
public sealed class RunStore : IDisposable
{
    private readonly Dictionary<string, RunPart> _parts = new(StringComparer.Ordinal);
    private readonly Dictionary<int, List<RunPart>> _attempts = [];
    private readonly HashSet<int> _retries = [];
    private readonly FolderLock? _lock;
    private readonly TemporaryFolder? _temporary;
    private readonly RunJournal _journal;
    private RunService? _service;
    private ServiceConnection? _connection;

    private RunStore(string folder, TemporaryFolder? temporary)
    {
        Folder = folder;
        _temporary = temporary;
        _lock = temporary is null ? FolderLock.Take(folder) : null;
        try
        {
            _journal = new RunJournal(Path.Combine(folder, RunJournal.FileName), isDurable: temporary is null);
            SyncFolder(folder);
            _journal.Replay(Apply);
            RunFolder.DeleteLeftovers(folder, _parts);
        }
        catch
        {
            _journal?.Dispose();
            _lock?.Dispose();
            temporary?.Dispose();
            throw;
        }
    }

    public string Folder { get; }

    /// <summary>Whether all requests of the run are on disk.</summary>
    public bool IsSpooled => _attempts.ContainsKey(1);

    /// <summary>Opens a checkpoint or creates a new one, and locks it for this process.</summary>
    /// <param name="folder">The folder, which must be empty or a checkpoint. Created if it does not exist.</param>
    /// <exception cref="RunStoreInUseException">Another process uses the checkpoint.</exception>
    /// <exception cref="RunMismatchException">The folder contains other files.</exception>
    /// <exception cref="FileUnwritableException">The folder cannot be written.</exception>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    public static RunStore Open(string folder)
    {
        if (File.Exists(folder))
        {
            throw new RunMismatchException(Messages.Text("CheckpointMismatch.File", folder));
        }

        if (!Directory.Exists(folder))
        {
            Disk.Try(folder, () => Directory.CreateDirectory(folder));
            FolderSync.Sync(Path.GetDirectoryName(Path.GetFullPath(folder))!);
        }

        RunFolder.ThrowIfForeign(folder);
        TemporaryFolder.DeleteAbandoned();
        return new RunStore(folder, temporary: null);
    }

    /// <summary>Returns the service of a checkpoint's run; null if there is no readable checkpoint.</summary>
    public static RunService? ServiceOf(string folder)
    {
        try
        {
            return RunJournal.LastBegan(Path.Combine(folder, RunJournal.FileName)) is { } step ? ReadService(step) : null;
        }
        catch (UriFormatException)
        {
            return null;
        }
    }

    /// <summary>Creates a store for a run that will not be resumed. Its folder is deleted when the store is disposed.</summary>
    /// <exception cref="IOException">The folder for temporary files cannot be written.</exception>
    public static RunStore Temporary()
    {
        var folder = TemporaryFolder.Create();
        return new RunStore(folder.FullPath, folder);
    }

    /// <summary>Binds the run to the service at an address.</summary>
    /// <inheritdoc cref="Begin(ServiceConnection, ServiceInstance?, string?, Func{RunService, Uri?}?)"/>
    public void Begin(Uri address) => Begin(address, other => ServiceConnection.IsSame(address, other), null, null, null);

    /// <summary>
    /// Binds the run to a service. A local service is identified by its instance ID, even if its address has changed. Other
    /// services are identified by their address, as is a service that does not respond.
    /// </summary>
    /// <param name="connection">The service that the run calls.</param>
    /// <param name="instance">The instance that responds there; null if none responds, or if the caller did not ask.</param>
    /// <param name="dataPath">The data folder of the local service there; null if unknown.</param>
    /// <param name="find">Finds the current address of a local service for the error message; returns null if it is not found.</param>
    /// <exception cref="RunMismatchException">The run belongs to another service.</exception>
    /// <exception cref="FileUnwritableException">The journal cannot be written.</exception>
    public void Begin(ServiceConnection connection, ServiceInstance? instance, string? dataPath, Func<RunService, Uri?>? find)
    {
        Begin(connection.BaseUri, connection.HasAddress, instance, dataPath, find);
        _connection = connection;
    }

    private void Begin(Uri address, Func<Uri, bool> hasAddress, ServiceInstance? instance, string? dataPath, Func<RunService, Uri?>? find)
    {
        if (_service is not null && !_service.IsAt(hasAddress, instance))
        {
            throw new RunMismatchException(_service.MismatchText(Folder, address, find));
        }

        if (_service is null || !hasAddress(_service.Address))
        {
            Begin(new RunService(address, instance?.Id, dataPath ?? _service?.DataPath));
        }
    }

    private void Begin(RunService service) => Write(new RunStep(RunStepKind.Began)
    {
        Address = service.Address.AbsoluteUri,
        Instance = service.Instance,
        DataPath = service.DataPath,
    });

    private static RunService ReadService(RunStep step) => new(new Uri(step.Address!), step.Instance, step.DataPath);

    public void Dispose()
    {
        _journal.Dispose();
        _lock?.Dispose();
        _temporary?.Dispose();
    }

    internal IReadOnlyList<RunPart> PartsOf(int attempt) => _attempts.GetValueOrDefault(attempt) ?? [];

    /// <summary>The number of attempts.</summary>
    internal int Attempts => _attempts.Count;

    /// <summary>Whether the user asked for an attempt. The attempts of its requests are then counted from it.</summary>
    internal bool IsRetry(int attempt) => _retries.Contains(attempt);

    /// <summary>Whether equal requests of the run are sent once; null if the journal does not say.</summary>
    internal bool? IsDeduplicated { get; private set; }

    /// <summary>Adds the parts of an attempt. Their files must be complete and have their final names.</summary>
    internal void AddParts(int attempt, IReadOnlyList<FilePart> parts, bool? deduplicate = null, bool? isRetry = null)
    {
        foreach (FilePart part in parts)
        {
            SyncFile(part.Path);
        }

        SyncFolder(Folder);
        Write(new RunStep(RunStepKind.Spooled) { Attempt = attempt, Deduplicate = deduplicate, IsRetry = isRetry, Parts = [.. parts.Select(part => part with { Path = Path.GetFileName(part.Path) })] });
    }

    /// <summary>Records a step: first on disk, then in memory.</summary>
    internal void Write(RunStep step)
    {
        // The first response of a local service to this run contains its instance ID.
        if (step.Step == RunStepKind.Uploaded && _service is { Instance: null } && _connection?.Instance is { } instanceId && !_parts.Values.Any(part => part.FileId is not null))
        {
            Begin(_service with { Instance = instanceId });
        }

        _journal.Append(step);
        Apply(step);
    }

    /// <summary>Syncs a file and its name to disk.</summary>
    internal void Sync(string path)
    {
        SyncFile(path);
        SyncFolder(Folder);
    }

    private void SyncFile(string path)
    {
        if (_temporary is null)
        {
            using DiskStream file = Disk.Open(path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite, BufferSize = 1 });
            file.Flush(flushToDisk: true);
        }
    }

    private void SyncFolder(string path)
    {
        if (_temporary is null)
        {
            FolderSync.Sync(path);
        }
    }

    private void Apply(RunStep step)
    {
        switch (step.Step)
        {
            case RunStepKind.Began:
                _service = ReadService(step);
                break;
            case RunStepKind.Spooled:
                IsDeduplicated = step.Deduplicate ?? IsDeduplicated;
                List<RunPart> parts = [.. step.Parts!.Select(part => new RunPart(part with { Path = Path.Combine(Folder, part.Path) }))];
                _attempts.Add(step.Attempt!.Value, parts);
                if (step.IsRetry == true)
                {
                    _retries.Add(step.Attempt.Value);
                }

                parts.ForEach(part => _parts.Add(part.Name, part));
                break;
            case RunStepKind.Stopped:
                _attempts.Values.SelectMany(all => all).ToList().ForEach(part => part.Stop());
                break;
            default:
                _parts[step.Part!].Apply(step);
                break;
        }
    }
}
