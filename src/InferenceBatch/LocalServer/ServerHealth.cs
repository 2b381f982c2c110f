using System.Text.Json;
using InferenceBatch.Wire;

namespace InferenceBatch.LocalServer;

/// <summary>Asks a local service that has just started whether anything will keep its batches from going on.</summary>
internal static class ServerHealth
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>What is wrong, a sentence each; empty where nothing is, or nobody can tell: it runs all the same.</summary>
    public static async Task<IReadOnlyList<string>> TroublesAsync(BatchServer server, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = s_patience };
        try
        {
            using HttpResponseMessage response = await http.GetAsync(new Uri(server.Uri, "/healthz"), cancellationToken).ConfigureAwait(false);
            using JsonDocument health = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false));
            return [.. health.RootElement.GetProperty("troubles").EnumerateArray().Select(trouble => SecretMask.Of(trouble.GetProperty("message").GetString()!))];
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return [];
        }
    }
}
