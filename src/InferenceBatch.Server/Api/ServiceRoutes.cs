using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Statistics;

namespace InferenceBatch.Server.Api;

/// <summary>The routes for the models of the upstream and for the health of the service.</summary>
internal sealed class ServiceRoutes(EngineServices engine, HealthCheck health)
{
    private static readonly TimeSpan s_modelsTimeout = TimeSpan.FromSeconds(15);

    private static readonly JsonDocumentOptions s_json = new() { MaxDepth = RequestLine.MaxDepth };

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1/models", JsonResponses.ReadMethods, ModelsAsync);
        // The ID of a model may contain slashes, which some clients do not escape.
        routes.MapMethods("/v1/models/{**model}", JsonResponses.ReadMethods, ModelAsync);
        routes.MapMethods("/healthz", JsonResponses.ReadMethods, HealthAsync);
        routes.MapMethods("/v1/healthz", JsonResponses.ReadMethods, HealthAsync);
    }

    private async Task ModelsAsync(HttpContext context)
    {
        byte[] models = await ReadModelsAsync(context);
        await JsonResponses.WriteJsonAsync(context, 200, json => json.WriteRawValue(models, skipInputValidation: true));
    }

    /// <summary>Returns one model of the list, because not every upstream has a route for one model.</summary>
    private async Task ModelAsync(HttpContext context)
    {
        // Kestrel decodes everything but an escaped slash.
        string id = ((string)context.Request.RouteValues["model"]!).Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        using var models = JsonDocument.Parse(await ReadModelsAsync(context), s_json);
        if (models.RootElement.ValueKind != JsonValueKind.Object
            || !models.RootElement.TryGetProperty("data", out JsonElement data) || data.ValueKind != JsonValueKind.Array)
        {
            throw new ApiException(502, "The upstream answered the request for its models with JSON that is not a list of models.", null, "upstream_error");
        }

        JsonElement[] found = [.. data.EnumerateArray().Where(model => HasId(model, id)).Take(1)];
        if (found.Length == 0)
        {
            throw ApiException.NotFound("model", id);
        }

        await JsonResponses.WriteJsonAsync(context, 200, json => json.WriteRawValue(found[0].GetRawText(), skipInputValidation: true));
    }

    private static bool HasId(JsonElement model, string id)
    {
        try
        {
            return model.ValueKind == JsonValueKind.Object && model.TryGetProperty("id", out JsonElement value)
                && value.ValueKind == JsonValueKind.String && value.ValueEquals(id);
        }
        catch (InvalidOperationException)
        {
            return false; // The text contains half a surrogate pair.
        }
    }

    private async Task<byte[]> ReadModelsAsync(HttpContext context)
    {
        using var timeout = new CancellationTokenSource(s_modelsTimeout, engine.Time);
        using CancellationTokenRegistration gone = context.RequestAborted.UnsafeRegister(source => ((CancellationTokenSource)source!).Cancel(), timeout);
        try
        {
            using UpstreamAnswer answer = await engine.Upstream.ListModelsAsync(timeout.Token);
            if (!answer.IsSuccess || !LineUsage.TryReadBody(answer.Body, null, out _, out _))
            {
                throw new ApiException(502, $"The upstream answered the request for its models with status {answer.StatusCode}.", null, "upstream_error");
            }

            return answer.Body.ToArray();
        }
        catch (UpstreamException exception)
        {
            throw new ApiException(502, exception.Message, null, "upstream_error");
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ApiException(504, $"The upstream did not list its models within {s_modelsTimeout.TotalSeconds:0} seconds.", null, "upstream_timeout");
        }
    }

    private async Task HealthAsync(HttpContext context)
    {
        Health now = await health.CheckAsync();
        await JsonResponses.WriteJsonAsync(context, now.IsReady ? 200 : 503, json =>
        {
            json.WriteStartObject();
            json.WriteString("status", now.Status);
            json.WriteStartArray("troubles");
            foreach (HealthIssue issue in now.Issues)
            {
                json.WriteStartObject();
                json.WriteString("kind", issue.Kind);
                if (issue.State is { } state)
                {
                    json.WriteString("state", state);
                }

                json.WriteString("message", issue.Message);
                json.WriteNumber("since", issue.Since.ToUnixTimeSeconds());
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
    }
}
