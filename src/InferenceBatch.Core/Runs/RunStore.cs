using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>
/// A run on disk: the requests as parts, the results as they were fetched, and a journal of every step, so that the same
/// run can be gone on with after its process was killed at any instant. One process at a time; the lock goes with it.
/// </summary>
/// <remarks>
/// The journal is append-only, one JSON object a line, synced to disk before what it says is relied on; a torn last line
/// is a step that was not taken. Files appear under their names only when they are whole.
/// </remarks>
public sealed partial class RunStore : IDisposable
{
    private const string JournalName = "journal.jsonl";

    private static readonly JsonSerializerOptions s_options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = PlainJsonEncoder.Instance,
    };

    private readonly Dictionary<string, RunPart> _parts = new(StringComparer.Ordinal);
    private readonly Dictionary<int, List<RunPart>> _attempts = [];
    private readonly HashSet<int> _retries = [];
    private readonly FolderLock? _lock;
    private readonly TemporaryFolder? _temporary;
    private readonly DiskStream _journal;
    private RunService? _service;
    private ServiceConnection? _connection;

    private RunStore(string folder, TemporaryFolder? temporary)
    {
        Folder = folder;
        _temporary = temporary;
        _lock = temporary is null ? FolderLock.Take(folder) : null;
        try
        {
            _journal = Disk.Open(Path.Combine(folder, JournalName), Options(FileShare.Read));
            SyncFolder(folder);
            ReadJournal();
            DeleteLeftovers();
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

    /// <summary>Opens a checkpoint, or makes a new one; for one process.</summary>
    /// <param name="folder">Made when it does not exist; else empty, or a checkpoint.</param>
    /// <exception cref="RunStoreInUseException">Another process has it.</exception>
    /// <exception cref="RunMismatchException">The folder holds something else.</exception>
    /// <exception cref="FileUnwritableException">It cannot be written.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
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

        RefuseOthers(folder);
        TemporaryFolder.DeleteAbandoned();
        return new RunStore(folder, temporary: null);
    }

    /// <summary>The service a checkpoint's run was begun at; null where there is no checkpoint that can be read.</summary>
    public static RunService? ServiceOf(string folder)
    {
        try
        {
            using var lines = new LineReader(new FileStream(
                Path.Combine(folder, JournalName), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
            RunService? service = null;
            while (lines.Read() && lines.IsTerminated)
            {
                if (lines.Line.Span.StartsWith(FirstLineStart))
                {
                    service = ReadService(JsonSerializer.Deserialize<RunStep>(lines.Line.Span, s_options)!);
                }
            }

            return service;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException or UriFormatException)
        {
            return null;
        }
    }

    /// <summary>A run that nobody will go on with: its folder goes when it is disposed.</summary>
    /// <exception cref="IOException">The temporary files cannot be written.</exception>
    public static RunStore Temporary()
    {
        var folder = TemporaryFolder.Create();
        return new RunStore(folder.FullPath, folder);
    }

    /// <summary>Holds the run to the service at an address.</summary>
    /// <inheritdoc cref="Begin(ServiceConnection, ServiceInstance?, string?, Func{RunService, Uri?}?)"/>
    public void Begin(Uri address) => Begin(address, other => ServiceConnection.IsSame(address, other), null, null, null);

    /// <summary>
    /// Holds the run to one service. A local service is known by its identity, whatever its address is by now; of another, and
    /// where nothing answers, the address counts.
    /// </summary>
    /// <param name="connection">Where calls go now.</param>
    /// <param name="answering">What answers there; null where nothing does, and where nobody asked.</param>
    /// <param name="dataPath">The data folder of the local service there, where it is known.</param>
    /// <param name="find">Finds where a local service is now, for advice; null where it is not found.</param>
    /// <exception cref="RunMismatchException">The run was begun at another.</exception>
    /// <exception cref="FileUnwritableException">The journal cannot be written.</exception>
    public void Begin(ServiceConnection connection, ServiceInstance? answering, string? dataPath, Func<RunService, Uri?>? find)
    {
        Begin(connection.BaseUri, connection.HasAddress, answering, dataPath, find);
        _connection = connection;
    }

    private void Begin(Uri address, Func<Uri, bool> hasAddress, ServiceInstance? answering, string? dataPath, Func<RunService, Uri?>? find)
    {
        if (_service is not null && !_service.IsAt(hasAddress, answering))
        {
            throw new RunMismatchException(_service.Difference(Folder, address, find));
        }

        if (_service is null || !hasAddress(_service.Address))
        {
            Begin(new RunService(address, answering?.Id, dataPath ?? _service?.DataPath));
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

    /// <summary>How many attempts there are.</summary>
    internal int Attempts => _attempts.Count;

    /// <summary>Whether a person asked for an attempt, so that the attempts of its requests count from it.</summary>
    internal bool IsRetry(int attempt) => _retries.Contains(attempt);

    /// <summary>Whether equal requests of the run are sent once; null where its journal does not say.</summary>
    internal bool? IsDeduplicated { get; private set; }

    /// <summary>Keeps the parts of an attempt, whose files are whole and under their names.</summary>
    internal void AddParts(int attempt, IReadOnlyList<FilePart> parts, bool? deduplicate = null, bool? isRetry = null)
    {
        foreach (FilePart part in parts)
        {
            SyncFile(part.Path);
        }

        SyncFolder(Folder);
        Write(new RunStep(RunStepKind.Spooled) { Attempt = attempt, Deduplicate = deduplicate, IsRetry = isRetry, Parts = [.. parts.Select(part => part with { Path = Path.GetFileName(part.Path) })] });
    }

    /// <summary>Takes a step: on disk first, then in memory.</summary>
    internal void Write(RunStep step)
    {
        // With its first answer to the run a local service has said who it is.
        if (step.Step == RunStepKind.Uploaded && _service is { Instance: null } && _connection?.Instance is { } instance && !_parts.Values.Any(part => part.FileId is not null))
        {
            Begin(_service with { Instance = instance });
        }

        long whole = _journal.Position;
        try
        {
            _journal.Write([.. JsonSerializer.SerializeToUtf8Bytes(step, s_options), (byte)'\n']);
            _journal.Flush(flushToDisk: _temporary is null);
        }
        catch (FileUnwritableException)
        {
            // A later step must not be written behind half of this one.
            _journal.SetLength(whole);
            _journal.Position = whole;
            throw;
        }

        Apply(step);
    }

    private static FileStreamOptions Options(FileShare share) =>
        new() { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = share, BufferSize = 1 };

    /// <summary>Brings a file and its name to the disk itself.</summary>
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

    /// <summary>A folder in which a run has not begun, as far as its journal says, may hold nothing but what a run makes before that.</summary>
    private static void RefuseOthers(string folder)
    {
        string journal = Path.Combine(folder, JournalName);
        bool hasJournal = File.Exists(journal);
        if (hasJournal && HasLine(journal))
        {
            return;
        }

        string? other = Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)!)
            .FirstOrDefault(name => name is not (FolderLock.LockName or FolderLock.OwnerName or JournalName) && !(hasJournal && IsLeftover(name)));
        if (other is not null || (hasJournal && !IsTornStart(journal)))
        {
            throw new RunMismatchException(other is null ? Messages.Text("CheckpointMismatch.OtherJournal", folder) : Messages.Text("CheckpointMismatch.OtherFile", folder, other));
        }
    }

    private static bool HasLine(string journal)
    {
        using var lines = new LineReader(new FileStream(journal, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return lines.Read() && lines.IsTerminated;
    }

    /// <summary>Whether a journal holds no more than the beginning of its first line.</summary>
    private static bool IsTornStart(string journal)
    {
        byte[] text = File.ReadAllBytes(journal);
        ReadOnlySpan<byte> start = FirstLineStart;
        return text.AsSpan().StartsWith(start) || start.StartsWith(text);
    }

    private static ReadOnlySpan<byte> FirstLineStart => "{\"step\":\"Began\","u8;

    /// <summary>Whether a name is one of requests on their way to disk, whose run sent nothing yet.</summary>
    private static bool IsLeftover(string name) => UnfinishedName().IsMatch(name) || PartName().IsMatch(name);

    [GeneratedRegex(@"^\.(part|check|again-\d+)\.jsonl\..+\.tmp$", RegexOptions.CultureInvariant)]
    private static partial Regex UnfinishedName();

    [GeneratedRegex(@"^(part|again-\d+)(-\d+)?\.jsonl$", RegexOptions.CultureInvariant)]
    private static partial Regex PartName();

    [GeneratedRegex(@"^(?<part>(part|again-\d+)(-\d+)?)\.(output|error)\.jsonl\..+\.part$", RegexOptions.CultureInvariant)]
    private static partial Regex DownloadName();

    /// <summary>
    /// Deletes what a killed process left that no step of the journal names: requests that were not whole, and downloads
    /// of parts whose results are there. A download of any other part is continued.
    /// </summary>
    private void DeleteLeftovers()
    {
        foreach (string path in Directory.GetFiles(Folder))
        {
            string name = Path.GetFileName(path);
            bool isOrphan = PartName().IsMatch(name) && !_parts.ContainsKey(name);
            bool isDone = DownloadName().Match(name) is { Success: true } download
                && (!_parts.TryGetValue(download.Groups["part"].Value + ".jsonl", out RunPart? part) || part.IsDownloaded);
            if (isOrphan || isDone || UnfinishedName().IsMatch(name))
            {
                File.Delete(path);
            }
        }
    }

    private void ReadJournal()
    {
        long whole = 0;
        using (var lines = new LineReader(_journal, leaveOpen: true))
        {
            while (lines.Read() && lines.IsTerminated)
            {
                try
                {
                    Apply(JsonSerializer.Deserialize<RunStep>(lines.Line.Span, s_options) ?? throw new JsonException("null"));
                }
                catch (Exception exception) when (exception is JsonException or KeyNotFoundException or ArgumentException or InvalidOperationException or UriFormatException)
                {
                    throw new RunMismatchException(Messages.Text("CheckpointMismatch.Step", lines.Number, _journal.Name, exception.Message));
                }

                whole = lines.NextOffset;
            }
        }

        _journal.SetLength(whole);
        _journal.Position = whole;
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
