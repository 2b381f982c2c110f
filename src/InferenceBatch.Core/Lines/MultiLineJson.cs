using System.Text.Json;

namespace InferenceBatch.Lines;

/// <summary>
/// Recognizes a file that is JSON written over several lines, as ConvertTo-Json does without -Compress: its first lines
/// together are one JSON value. Costs nothing once a line has shown that the file is not.
/// </summary>
internal sealed class MultiLineJson
{
    private JsonReaderState _state = new(new JsonReaderOptions { MaxDepth = RequestLine.MaxDepth });
    private byte[] _rest = [];
    private int _lines;
    private bool _isOver;

    /// <summary>Takes the next line of the file that is not blank.</summary>
    /// <returns>Whether this line ends a JSON value that began on an earlier line.</returns>
    public bool EndsWith(ReadOnlySpan<byte> line)
    {
        if (_isOver)
        {
            return false;
        }

        _lines++;
        try
        {
            byte[] text = [.. _rest, .. line, (byte)'\n'];
            var reader = new Utf8JsonReader(text, isFinalBlock: false, _state);
            while (reader.Read())
            {
                if (reader.CurrentDepth == 0 && reader.TokenType is (JsonTokenType.EndObject or JsonTokenType.EndArray))
                {
                    _isOver = true;
                    return _lines > 1;
                }
            }

            _rest = text[(int)reader.BytesConsumed..]; // A comma at the end of the line, at most: no other token goes over a line's end.
            _state = reader.CurrentState;
        }
        catch (JsonException)
        {
            _isOver = true;
        }

        return false;
    }
}
