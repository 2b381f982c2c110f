using System.Management.Automation;
using System.Text;
using System.Text.Json;
using InferenceBatch.Cmdlets;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Commands;

/// <summary>
/// Import-BatchFile: reads the requests of batch files, one line at a time. A line that is not a valid request is a non-terminating
/// <c>InvalidBatchFile</c>, and the command continues with the next line.
/// </summary>
[Cmdlet(VerbsData.Import, "BatchFile", DefaultParameterSetName = PathSet)]
[OutputType(typeof(BatchRequest))]
public sealed class ImportBatchFileCommand : BatchFileCommand
{
    private string _lastUrl = "";

    private protected override void ProcessFile(string path)
    {
        if (Paths.TryOpen(path) is not { } stream)
        {
            return;
        }

        using var reader = new LineReader(stream);
        while (!Stopping && TryRead(reader, path))
        {
            ReadOnlySpan<byte> line = reader.Line.Span;
            if (reader.Number == 1 && FileValidator.LooksLikeUtf16(line))
            {
                WriteError(ErrorRecords.Of("InvalidBatchFile.Utf16", path, path, FileValidator.Utf16Message));
                return;
            }

            if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
            {
                continue;
            }

            if (Read(line, out string problem) is { } request)
            {
                WriteObject(request);
            }
            else
            {
                WriteError(ErrorRecords.Of("InvalidBatchFile.Line", path, path, reader.Number, problem));
            }
        }
    }

    private bool TryRead(LineReader reader, string path)
    {
        try
        {
            return reader.Read();
        }
        catch (IOException exception)
        {
            WriteError(ErrorRecords.From(exception, path));
            return false;
        }
    }

    private BatchRequest? Read(ReadOnlySpan<byte> line, out string problem)
    {
        if (!RequestLine.Parse(line, out RequestLine request, out LineProblem lineProblem))
        {
            problem = lineProblem.Message();
            return null;
        }

        problem = request.CustomId.IsEmpty ? Messages.Text("InvalidBatchFile.NoCustomId")
            : request.BodyKind != JsonTokenType.StartObject ? Messages.Text("InvalidBatchFile.NoBody")
            : "";
        return problem.Length > 0 ? null : new BatchRequest
        {
            CustomId = Encoding.UTF8.GetString(request.CustomId),
            Url = Url(request.Url),
            BodyUtf8 = request.Body.ToArray(),
        };
    }

    /// <summary>Returns the URL as text. Most lines of a file have the same one, which is then decoded only once.</summary>
    private string Url(ReadOnlySpan<byte> url)
    {
        if (!Ascii.Equals(url, _lastUrl))
        {
            _lastUrl = Encoding.UTF8.GetString(url);
        }

        return _lastUrl;
    }
}
