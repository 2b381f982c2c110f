using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Results;

namespace InferenceBatch.Runs;

/// <summary>The requests of a run that an earlier process wrote, read one after another.</summary>
internal sealed class StoredRequestReader(IReadOnlyList<RunPart> parts) : IDisposable
{
    private (BatchRequest Request, LinePlace Line)? _next;
    private LineReader? _lines;
    private int _part;
    private string _url = "";

    /// <summary>The request whose turn it is, and where its line stands; null after the last.</summary>
    /// <exception cref="RunMismatchException">A line is no request.</exception>
    /// <exception cref="IOException">A part cannot be read.</exception>
    public (BatchRequest Request, LinePlace Line)? Peek() => _next ??= Read();

    /// <summary>Goes on behind the request that was last looked at.</summary>
    public void Take() => _next = null;

    public void Dispose()
    {
        _lines?.Dispose();
        _lines = null;
    }

    private (BatchRequest Request, LinePlace Line)? Read()
    {
        for (; _part < parts.Count; _part++, Dispose())
        {
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
