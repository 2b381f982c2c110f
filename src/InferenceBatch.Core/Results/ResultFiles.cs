using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>
/// Reads which requests a file of results answers, and whether it is whole: every line a JSON object. Lines may repeat an
/// id (a failure, then a success), so lines are no measure for how many requests are answered.
/// </summary>
internal static class ResultFiles
{
    /// <summary>The ids of a file's results, each once.</summary>
    /// <exception cref="IOException">It cannot be read, or holds something else than result lines: a page of a proxy, a cut-off end.</exception>
    public static HashSet<string> ReadIds(string path) => ReadIds(path, number => throw new IOException(Messages.Text("DownloadIncomplete.NoResult", number)));

    /// <summary>The ids of a file that may hold other lines too; none where there is no file.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
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
