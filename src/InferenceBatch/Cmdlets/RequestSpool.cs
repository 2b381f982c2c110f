using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Runs;

namespace InferenceBatch.Cmdlets;

/// <summary>Requests from the pipeline on their way to a service: temporary batch files within its limits, in a folder of their own that goes with the spool.</summary>
internal sealed class RequestSpool : IDisposable
{
    private readonly FileSplitter _splitter;
    private readonly TemporaryFolder _folder = TemporaryFolder.Create();

    public RequestSpool(int maxRequests, long maxBytes) =>
        _splitter = new FileSplitter(Path.Combine(Folder, "requests.jsonl"), maxRequests, maxBytes);

    /// <summary>The folder, readable by this user alone.</summary>
    public string Folder => _folder.FullPath;

    /// <inheritdoc cref="FileSplitter.Add"/>
    public void Add(BatchRequest request) => _splitter.Add(request);

    /// <summary>The files; none when there was no request.</summary>
    public IReadOnlyList<FilePart> Finish() => _splitter.Rename(overwrite: true);

    public void Dispose()
    {
        _splitter.Dispose();
        _folder.Dispose();
    }
}
