using System.Text.Json;

namespace InferenceBatch.Model;

/// <summary>Where a text is not JSON, in words for a person; the framework's own speak of parser states.</summary>
public static class JsonFault
{
    /// <summary>Such as <c>line 2 goes wrong at byte 14</c>, both counted from 1.</summary>
    public static string Place(JsonException fault) => $"line {fault.LineNumber + 1} goes wrong at byte {fault.BytePositionInLine + 1}";
}
