using System.Text.Json;

namespace InferenceBatch.Model;

/// <summary>Describes JSON errors for users. The framework's own messages describe states of the parser.</summary>
public static class JsonFault
{
    /// <summary>The position of the error, such as <c>error at line 2, byte 14</c>, both counted from 1.</summary>
    public static string Place(JsonException fault) => $"error at line {fault.LineNumber + 1}, byte {fault.BytePositionInLine + 1}";
}
