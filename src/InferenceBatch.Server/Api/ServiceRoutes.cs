using InferenceBatch.Server.Execution;
using InferenceBatch.Server.Execution.Upstreams;

namespace InferenceBatch.Server.Api;

/// <summary>The routes about the service itself: its upstream's models, and whether it is ready.</summary>
internal sealed class ServiceRoutes(BatchEngine engine, Scheduler scheduler)
{
    private static readonly TimeSpan s_modelsTimeout = TimeSpan.FromSeconds(15);

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1/models", Answers.Reading, ModelsAsync);
        routes.MapMethods("/healthz", Answers.Reading, HealthAsync);
        routes.MapMethods("/v1/healthz", Answers.Reading, HealthAsync);
    }

    private async Task ModelsAsync(HttpContext context)
    {
        using var timeout = new CancellationTokenSource(s_modelsTimeout, engine.Time);
        using CancellationTokenRegistration gone = context.RequestAborted.UnsafeRegister(source => ((CancellationTokenSource)source!).Cancel(), timeout);
        try
        {
            using UpstreamAnswer answer = await engine.Upstream.ListModelsAsync(timeout.Token);
            if (!answer.IsSuccess || !LineUsage.TryReadBody(answer.Body, out _))
            {
                throw new ApiException(502, $"The upstream answered the list of models with status {answer.StatusCode}.", null, "upstream_error");
            }

            byte[] body = answer.Body.ToArray();
            await Answers.WriteJsonAsync(context, 200, json => json.WriteRawValue(body, skipInputValidation: true));
        }
        catch (UpstreamException exception)
        {
            throw new ApiException(502, exception.Message, null, "upstream_error");
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw new ApiException(504, "The upstream did not list its models in time.", null, "upstream_timeout");
        }
    }

    private Task HealthAsync(HttpContext context) => Answers.WriteJsonAsync(context, scheduler.IsReady ? 200 : 503, json =>
    {
        json.WriteStartObject();
        json.WriteString("status", scheduler.IsReady ? "ready" : "stopping");
        json.WriteEndObject();
    });
}
