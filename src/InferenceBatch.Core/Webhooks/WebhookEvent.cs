using System.Text;
using System.Text.Json;
using InferenceBatch.Wire;

namespace InferenceBatch.Webhooks;

/// <summary>
/// What a service said by webhook. Services differ in the body, and Inference.net's is not documented: so it is read
/// leniently, and is a reason to look at the batch, never the news itself.
/// </summary>
public sealed class WebhookEvent
{
    /// <summary>The message's id (<c>webhook-id</c>, else the id of an event object): the same for each try to deliver it; null when it has none.</summary>
    public string? Id { get; init; }

    /// <summary>What happened, such as <c>batch.completed</c>; null when the service does not say.</summary>
    public string? Type { get; init; }

    /// <summary>The batch it is about; null when none could be made out.</summary>
    public string? BatchId { get; init; }

    /// <summary>When it happened, by the service's word.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>When it came in.</summary>
    public DateTimeOffset ReceivedAt { get; init; }

    /// <summary>Whether its signature was verified; false when no secret was given to do so.</summary>
    public bool IsVerified { get; init; }

    /// <summary>The body as it came; an API key or a webhook's secret in it is masked.</summary>
    public string Json { get; init; } = "";

    public override string ToString() => $"{Type ?? "event"} {BatchId}".TrimEnd();

    /// <summary>Reads a body; one that is no JSON object makes an event about no batch in particular.</summary>
    /// <param name="body">The bytes that came.</param>
    /// <param name="webhookId">The header <c>webhook-id</c>.</param>
    /// <param name="receivedAt">When it came.</param>
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
            // Whatever it is, somebody who knows the address has sent it.
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

    /// <summary>The places where services put the id; the plain <c>id</c> may be the event's own and comes last, unless the body is a batch.</summary>
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
