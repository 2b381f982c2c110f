using System.Text;
using System.Text.Json;
using InferenceBatch.Wire;

namespace InferenceBatch.Webhooks;

/// <summary>
/// A webhook event. The bodies of services differ, and that of Inference.net is not documented. So the body is read leniently,
/// and an event only triggers a poll of the batch; its content is not trusted.
/// </summary>
public sealed class WebhookEvent
{
    /// <summary>The ID of the message (<c>webhook-id</c>, otherwise the ID of an event object). It is the same for each delivery attempt; null if there is none.</summary>
    public string? Id { get; init; }

    /// <summary>The type of the event, such as <c>batch.completed</c>; null if the body has none.</summary>
    public string? Type { get; init; }

    /// <summary>The ID of the batch; null if the body has none.</summary>
    public string? BatchId { get; init; }

    /// <summary>The time of the event according to the service.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>When the event was received.</summary>
    public DateTimeOffset ReceivedAt { get; init; }

    /// <summary>Whether the signature was verified; false if there is no secret to verify it with.</summary>
    public bool IsVerified { get; init; }

    /// <summary>The received body. API keys and webhook secrets in it are masked.</summary>
    public string Json { get; init; } = "";

    public override string ToString() => $"{Type ?? "event"} {BatchId}".TrimEnd();

    /// <summary>Reads a body. A body that is not a JSON object returns an event without a batch.</summary>
    /// <param name="body">The received bytes.</param>
    /// <param name="webhookId">The header <c>webhook-id</c>.</param>
    /// <param name="receivedAt">When the event was received.</param>
    /// <param name="isVerified">Whether its signature was verified.</param>
    public static WebhookEvent Read(ReadOnlyMemory<byte> body, string? webhookId = null, DateTimeOffset receivedAt = default, bool isVerified = false)
    {
        JsonElement root = default;
        try
        {
            using JsonDocument document = BrokenText.Parse(body);
            root = document.RootElement.Clone();
        }
        catch (JsonException)
        {
            // The sender knows the address, so the event still counts, without a batch.
        }

        return new WebhookEvent
        {
            Id = webhookId ?? (root.Field("object").Text() == "event" ? root.Field("id").Text() : null),
            Type = SecretMask.Of(root.Field("type", "event").Text()),
            BatchId = BatchIdOf(root),
            CreatedAt = root.Field("created_at", "timestamp").Time(),
            ReceivedAt = receivedAt,
            IsVerified = isVerified,
            Json = SecretMask.OfJson(Encoding.UTF8.GetString(body.Span)),
        };
    }

    /// <summary>Finds the batch ID in the places where services put it. <c>id</c> may be the ID of the event, so it is the last choice, unless the body is a batch.</summary>
    private static string? BatchIdOf(JsonElement root)
    {
        string? id = root.Field("id").Text();
        string? kind = root.Field("object").Text();
        if (kind == "batch" && id is not null)
        {
            return id;
        }

        JsonElement data = root.Field("data") ?? default;
        return root.Field("batch_id", "batchId").Text()
            ?? data.Field("batch_id", "batchId").Text()
            ?? (data.Field("batch") ?? default).Field("id").Text()
            ?? (root.Field("batch") ?? default).Field("id").Text()
            ?? data.Field("id").Text()
            ?? (kind == "event" ? null : id);
    }
}
