using System.Text.Json;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>Creates input lines.</summary>
internal static class Requests
{
    public static string Chat(string customId, string prompt, string url = "/v1/chat/completions") => JsonSerializer.Serialize(new
    {
        custom_id = customId,
        method = "POST",
        url,
        body = new { model = "test-model", messages = new[] { new { role = "user", content = prompt } } },
    });

    /// <summary>A file of chat requests <c>r-1</c> … with the prompts <c>prompt 1</c> ….</summary>
    public static string File(int count) =>
        string.Concat(Enumerable.Range(1, count).Select(i => Chat($"r-{i}", $"prompt {i}") + "\n"));
}
