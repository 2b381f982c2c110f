using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Runs;

namespace InferenceBatch.Cmdlets;

/// <summary>Writes requests from the pipeline to temporary batch files within the limits of a service. Dispose deletes their folder.</summary>
internal sealed class RequestSpool : IDisposable
{
    private readonly FileSplitter _splitter;
    private readonly TemporaryFolder _folder = TemporaryFolder.Create();

    public RequestSpool(int maxRequests, long maxBytes) =>
        _splitter = new FileSplitter(Path.Combine(Folder, "requests.jsonl"), maxRequests, maxBytes);

    /// <summary>Gets the folder, which only this user can read.</summary>
    public string Folder => _folder.FullPath;

    /// <inheritdoc cref="FileSplitter.Add"/>
    public void Add(BatchRequest request) => _splitter.Add(request);

    /// <summary>Returns the files; empty if there was no request.</summary>
    public IReadOnlyList<FilePart> Finish() => _splitter.Rename(overwrite: true);

    public void Dispose()
    {
        _splitter.Dispose();
        _folder.Dispose();
    }
}
