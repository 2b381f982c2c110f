using System.Text.Json;

namespace InferenceBatch.Wire;

/// <summary>One page of a list.</summary>
/// <param name="Items">What is on it.</param>
/// <param name="HasMore">Whether the service said there is more; null where it said nothing.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, bool? HasMore)
{
    /// <summary>Reads <c>{"data":[…],"has_more":…}</c>, <c>{"value":[…]}</c> or a bare array; null for an empty one.</summary>
    /// <exception cref="JsonException">Not JSON, or none of those.</exception>
    internal static Page<T> Read(ReadOnlyMemory<byte> json, Func<JsonElement, T> readItem)
    {
        using JsonDocument document = BrokenText.Parse(json);
        JsonElement root = document.RootElement;
        JsonElement items = root.Field("data", "value") ?? root;
        bool isEmpty = root.ValueKind == JsonValueKind.Object && items.ValueKind == JsonValueKind.Object
            && root.EnumerateObject().Any(field => BrokenText.ReadName(field) == "data" && field.Value.ValueKind == JsonValueKind.Null);
        if (items.ValueKind != JsonValueKind.Array && !isEmpty)
        {
            throw new JsonException("The response does not contain a list.");
        }

        bool? hasMore = root.Field("has_more")?.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => null,
        };
        return new Page<T>(isEmpty ? [] : [.. items.EnumerateArray().Select(readItem)], hasMore);
    }
}
