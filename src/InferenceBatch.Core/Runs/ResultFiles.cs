using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Looks whether a file of results is whole: every line a JSON object, and how many there are.</summary>
internal static class ResultFiles
{
    /// <summary>Counts the lines of a file of results.</summary>
    /// <exception cref="IOException">It cannot be read, or holds something else than result lines: a page of a proxy, a cut-off end.</exception>
    public static long Count(string path) => Count(path, number => throw new IOException(Messages.Text("DownloadIncomplete.NoResult", number)));

    /// <summary>Counts the result lines of a file that may hold other lines too; 0 where there is no file.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static long CountReadable(string path) => File.Exists(path) ? Count(path, _ => { }) : 0;

    private static long Count(string path, Action<int> onBadLine)
    {
        long count = 0;
        using var lines = new LineReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan));
        while (lines.Read())
        {
            ReadOnlySpan<byte> line = lines.Line.Span;
            if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
            {
                continue;
            }

            if (IsObject(line))
            {
                count++;
            }
            else
            {
                onBadLine(lines.Number);
            }
        }

        return count;
    }

    private static bool IsObject(ReadOnlySpan<byte> line)
    {
        try
        {
            var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = RequestLine.MaxDepth + 8 });
            bool isObject = reader.Read() && reader.TokenType == JsonTokenType.StartObject;
            while (reader.Read())
            {
            }

            return isObject;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
