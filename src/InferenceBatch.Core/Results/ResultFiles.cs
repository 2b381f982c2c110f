using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Reads which requests have a result in a file, and whether the file is complete, so that every line is a JSON object. An ID
/// may have several lines (a failure, then a success), so the number of lines is not the number of results.
/// </summary>
internal static class ResultFiles
{
    /// <summary>Returns the IDs of a file's results, each once.</summary>
    /// <exception cref="IOException">The file cannot be read, or contains other lines: the page of a proxy, or an incomplete last line.</exception>
    public static HashSet<string> ReadIds(string path) => ReadIds(path, number => throw new IOException(Messages.Text("DownloadIncomplete.NoResult", number)));

    /// <summary>Returns the IDs of a file's results and ignores other lines; empty if the file does not exist.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static HashSet<string> ReadReadableIds(string path) => File.Exists(path) ? ReadIds(path, _ => { }) : [];

    private static HashSet<string> ReadIds(string path, Action<int> onBadLine)
    {
        var ids = new HashSet<string>(StringComparer.Ordinal);
        using var lines = new LineReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan));
        while (lines.Read())
        {
            if (lines.Line.Span.IndexOfAnyExcept(" \t\r"u8) < 0)
            {
                continue;
            }

            try
            {
                ids.Add(ResultLineReader.ReadId(lines.Line).CustomId);
            }
            catch (JsonException)
            {
                onBadLine(lines.Number);
            }
        }

        return ids;
    }
}
