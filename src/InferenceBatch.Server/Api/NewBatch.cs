using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Webhooks;

namespace InferenceBatch.Server.Api;

/// <summary>The body of <c>POST /batches</c>, validated as in OpenAI's documentation.</summary>
internal sealed record NewBatch
{
    /// <summary>The only valid completion window.</summary>
    public const string CompletionWindow = "24h";

    /// <summary>The minimum time that a file is kept, in seconds.</summary>
    public const int MinExpirySeconds = 3600;

    /// <summary>The maximum time that a file is kept if it expires, in seconds (30 days).</summary>
    public const int MaxExpirySeconds = 2592000;

    private const int MaxPairs = 16;
    private const int MaxKeyLength = 64;
    private const int MaxValueLength = 512;

    public required string InputFileId { get; init; }

    public required string Endpoint { get; init; }

    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    public string? WebhookUrl { get; init; }

    public TimeSpan? OutputExpiresAfter { get; init; }

    /// <summary>Reads the request.</summary>
    /// <exception cref="ApiException">400 with the name of the field and a code.</exception>
    public static NewBatch Read(JsonElement json, WebhookTargets webhookTargets)
    {
        string inputFileId = JsonBody.Text(json, "input_file_id") ?? throw ApiException.Missing("input_file_id");
        string given = JsonBody.Text(json, "endpoint") ?? throw ApiException.Missing("endpoint");
        string endpoint = ValidationRules.FindEndpoint(given) ?? throw ApiException.InvalidValue(
            $"Invalid value for 'endpoint': it must be one of {string.Join(", ", ValidationRules.KnownEndpoints)}.", "endpoint");

        string window = JsonBody.Text(json, "completion_window") ?? throw ApiException.Missing("completion_window");
        if (window != CompletionWindow)
        {
            throw ApiException.InvalidValue($"Invalid value for 'completion_window': it must be '{CompletionWindow}'.", "completion_window");
        }

        return new NewBatch
        {
            InputFileId = inputFileId,
            Endpoint = endpoint,
            Metadata = ReadMetadata(JsonBody.Field(json, "metadata")),
            WebhookUrl = ReadWebhookUrl(JsonBody.Text(json, "webhook_url"), webhookTargets),
            OutputExpiresAfter = ReadExpiry(JsonBody.Field(json, "output_expires_after")),
        };
    }

    private static Dictionary<string, string> ReadMetadata(JsonElement? metadata)
    {
        var pairs = new Dictionary<string, string>();
        if (metadata is not { } some)
        {
            return pairs;
        }

        if (some.ValueKind != JsonValueKind.Object)
        {
            throw ApiException.InvalidType("Invalid type for 'metadata': it must be an object.", "metadata");
        }

        foreach (JsonProperty pair in some.EnumerateObject())
        {
            if (pair.Value.ValueKind != JsonValueKind.String)
            {
                throw ApiException.InvalidType("Invalid type for 'metadata': its values must be strings.", "metadata");
            }

            pairs[pair.Name] = JsonBody.TextOf(pair.Value, "metadata");
        }

        return pairs.Count <= MaxPairs && pairs.All(pair => Length(pair.Key) <= MaxKeyLength && Length(pair.Value) <= MaxValueLength)
            ? pairs
            : throw ApiException.InvalidValue(
                $"Invalid value for 'metadata': it can have at most {MaxPairs} pairs, with keys of at most {MaxKeyLength} characters and values of at most {MaxValueLength}.", "metadata");
    }

    /// <summary>Counts characters as JSON Schema does: an emoji is one.</summary>
    private static int Length(string text) => text.EnumerateRunes().Count();

    private static string? ReadWebhookUrl(string? url, WebhookTargets targets) =>
        url is not null && targets.ProblemOf(url) is { } problem
            ? throw ApiException.InvalidValue($"Invalid value for 'webhook_url': {problem}.", "webhook_url")
            : url;

    private static TimeSpan? ReadExpiry(JsonElement? expiry)
    {
        if (expiry is not { } some)
        {
            return null;
        }

        if (some.ValueKind != JsonValueKind.Object)
        {
            throw ApiException.InvalidType("Invalid type for 'output_expires_after': it must be an object.", "output_expires_after");
        }

        if (JsonBody.Text(some, "anchor") != "created_at")
        {
            throw ApiException.InvalidValue("Invalid value for 'output_expires_after.anchor': it must be 'created_at'.", "output_expires_after.anchor");
        }

        return JsonBody.Field(some, "seconds") is { ValueKind: JsonValueKind.Number } seconds
            && seconds.TryGetInt32(out int number) && number is >= MinExpirySeconds and <= MaxExpirySeconds
            ? TimeSpan.FromSeconds(number)
            : throw ApiException.InvalidValue(
                $"Invalid value for 'output_expires_after.seconds': it must be a whole number from {MinExpirySeconds} to {MaxExpirySeconds}.", "output_expires_after.seconds");
    }
}
