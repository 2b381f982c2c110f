using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Looks whether files of results are whole: every line a JSON object, and how many there are.</summary>
internal static class ResultFiles
{
    /// <summary>Counts the lines of files.</summary>
    /// <exception cref="IOException">A file cannot be read, or holds something else than result lines: a page of a proxy, a cut-off end.</exception>
    public static long Count(params string[] paths)
    {
        long count = 0;
        foreach (string path in paths.Where(File.Exists))
        {
            using var lines = new LineReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan));
            while (lines.Read())
            {
                ReadOnlySpan<byte> line = lines.Line.Span;
                if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
                {
                    continue;
                }

                if (!IsObject(line))
                {
                    throw new IOException(Messages.Text("DownloadIncomplete.NoResult", lines.Number));
                }

                count++;
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
