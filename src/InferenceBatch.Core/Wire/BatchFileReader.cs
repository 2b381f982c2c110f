using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>Reads the file object; some services answer an upload with no more than an id.</summary>
public static class BatchFileReader
{
    /// <summary>Reads one file.</summary>
    /// <exception cref="JsonException">Not JSON, or an object without an id.</exception>
    public static BatchFile Read(ReadOnlyMemory<byte> json)
    {
        using JsonDocument document = BrokenText.Parse(json);
        return Read(document.RootElement);
    }

    /// <inheritdoc cref="Read(ReadOnlyMemory{byte})"/>
    public static BatchFile Read(JsonElement element) => new()
    {
        Id = element.Field("id", "file_id").Name() ?? throw new JsonException("The response is not a file: it has no 'id'."),
        FileName = element.Field("filename").Text(),
        Bytes = element.Field("bytes").Whole(),
        Purpose = element.Field("purpose").Name(),
        Status = SecretMask.Of(element.Field("status").Name()),
        CreatedAt = element.Field("created_at").Time(),
        ExpiresAt = element.Field("expires_at").Time(),
        Json = SecretMask.OfJson(element.GetRawText()),
    };
}
