namespace InferenceBatch.Binding;

/// <summary>
/// The shape of a request body for an endpoint. An unknown endpoint is treated as a chat endpoint, because services with their own
/// endpoints (such as <c>/v1/chat/ds-test</c>) imitate that one. Field names: OpenAI's API reference.
/// </summary>
/// <param name="InputField">The field for the prompt.</param>
/// <param name="MaxTokensField">The field that limits the length of the answer; null if there is none.</param>
/// <param name="TakesMessages">Whether the input can be a conversation, with a system prompt, images, tools and a schema.</param>
internal sealed record EndpointShape(string InputField, string? MaxTokensField, bool TakesMessages)
{
    private static readonly EndpointShape s_chat = new("messages", "max_tokens", true);
    private static readonly EndpointShape s_responses = new("input", "max_output_tokens", true);
    private static readonly EndpointShape s_completions = new("prompt", "max_tokens", false);
    private static readonly EndpointShape s_embeddings = new("input", null, false);
    private static readonly EndpointShape s_moderations = new("input", null, false) { ModelIsOptional = true };

    /// <summary>Whether the model is optional.</summary>
    public bool ModelIsOptional { get; private init; }

    public bool IsChat => ReferenceEquals(this, s_chat);

    public bool IsResponses => ReferenceEquals(this, s_responses);

    public static EndpointShape Of(string endpoint) => endpoint switch
    {
        "/v1/responses" => s_responses,
        "/v1/completions" => s_completions,
        "/v1/embeddings" => s_embeddings,
        "/v1/moderations" => s_moderations,
        _ => s_chat,
    };
}
