using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;

namespace InferenceBatch.Runs;

/// <summary>Reads the requests that an earlier process stored, in order.</summary>
/// <param name="parts">The parts of an attempt.</param>
/// <param name="endpoint">The endpoint of the parts to read; null for all.</param>
internal sealed class StoredRequestReader(IReadOnlyList<RunPart> parts, string? endpoint = null) : IDisposable
{
    private (BatchRequest Request, LinePlace Line)? _next;
    private LineReader? _lines;
    private int _part;
    private string _url = "";

    /// <summary>Returns the current request and the position of its line; null after the last one.</summary>
    /// <exception cref="RunMismatchException">A line is not a valid request.</exception>
    /// <exception cref="IOException">A part cannot be read.</exception>
    public (BatchRequest Request, LinePlace Line)? Peek() => _next ??= Read();

    /// <summary>Moves to the next request.</summary>
    public void Advance() => _next = null;

    public void Dispose()
    {
        _lines?.Dispose();
        _lines = null;
    }

    private (BatchRequest Request, LinePlace Line)? Read()
    {
        for (; _part < parts.Count; _part++, Dispose())
        {
            if (endpoint is not null && parts[_part].File.Endpoint != endpoint)
            {
                continue;
            }

            _lines ??= new LineReader(new FileStream(
                parts[_part].File.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan));
            if (_lines.Read())
            {
                byte[] line = _lines.Line.ToArray();
                BatchRequest request = RequestIndex.Read(line, ref _url) ?? throw new RunMismatchException(Messages.Text("CheckpointMismatch.PartChanged", parts[_part].File.Path));
                return (request, new LinePlace(_lines.Offset, line.Length, _part));
            }
        }

        return null;
    }
}
