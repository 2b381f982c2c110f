using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Statistics;

namespace InferenceBatch.Server.Api;

/// <summary>The routes for the models of the upstream and for the health of the service.</summary>
internal sealed class ServiceRoutes(EngineServices engine, HealthCheck health)
{
    private static readonly TimeSpan s_modelsTimeout = TimeSpan.FromSeconds(15);

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1/models", JsonResponses.ReadMethods, ModelsAsync);
        routes.MapMethods("/healthz", JsonResponses.ReadMethods, HealthAsync);
        routes.MapMethods("/v1/healthz", JsonResponses.ReadMethods, HealthAsync);
    }

    private async Task ModelsAsync(HttpContext context)
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

            byte[] body = answer.Body.ToArray();
            await JsonResponses.WriteJsonAsync(context, 200, json => json.WriteRawValue(body, skipInputValidation: true));
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
