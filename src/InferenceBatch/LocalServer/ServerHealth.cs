using System.Text.Json;
using InferenceBatch.Wire;

namespace InferenceBatch.LocalServer;

/// <summary>Asks a local service that has just started whether something prevents its batches from running.</summary>
internal static class ServerHealth
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    /// <summary>Returns the issues, one sentence each; empty if there are none, or the service does not respond in time. It runs in any case.</summary>
    public static async Task<IReadOnlyList<string>> FindIssuesAsync(BatchServer server, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = s_timeout };
        try
        {
            using HttpResponseMessage response = await http.GetAsync(new Uri(server.Uri, "/healthz"), cancellationToken).ConfigureAwait(false);
            using JsonDocument health = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false));
            return [.. health.RootElement.GetProperty("troubles").EnumerateArray().Select(issue => SecretMask.Of(issue.GetProperty("message").GetString()!))];
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return [];
        }
    }
}
