using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Page;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Api;

/// <summary>What every request goes through: a request id, the limits on its head, the key, and errors made JSON.</summary>
/// <param name="keys">Who may call.</param>
/// <param name="instance">Which service this is, see <see cref="Database.Instance"/>; every answer says it.</param>
/// <param name="logger">Told of what goes wrong.</param>
internal sealed class ApiPipeline(ApiKeys keys, string? instance, ILogger logger)
{
    private const int MaxHeaderBytes = 32 * 1024;
    private const int MaxUrlLength = 8 * 1024;
    private const string OwnerKey = "owner";

    /// <summary>Whose request this is.</summary>
    public static string OwnerOf(HttpContext context) => (string)context.Items[OwnerKey]!;

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        context.Response.Headers["x-request-id"] = Ids.NewRequest();
        if (instance is not null)
        {
            context.Response.Headers["x-inference-batch-instance"] = instance;
        }

        try
        {
            CheckHead(context.Request);
            if (!keys.AreNeeded)
            {
                CrossOriginGuard.Check(context.Request);
            }

            Authenticate(context);
            if (IsPathWithoutId(context.Request))
            {
                throw JsonResponses.ErrorOf(context, StatusCodes.Status404NotFound);
            }

            await next(context);
            if (HttpMethods.IsOptions(context.Request.Method) && context.Response.StatusCode == StatusCodes.Status405MethodNotAllowed)
            {
                context.Response.StatusCode = StatusCodes.Status204NoContent;
                return;
            }

            if (!context.Response.HasStarted && context.Response is { StatusCode: >= 400, ContentLength: null, ContentType: null })
            {
                await JsonResponses.WriteErrorAsync(context, JsonResponses.ErrorOf(context, context.Response.StatusCode));
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller has gone: nobody to answer.
        }
        catch (Exception exception) when (!context.Response.HasStarted)
        {
            ApiException error = ErrorOf(context, exception);
            if (error.Status == StatusCodes.Status401Unauthorized)
            {
                context.Response.Headers.WWWAuthenticate = "Bearer";
            }

            if (error.Status == StatusCodes.Status409Conflict)
            {
                // OpenAI's clients send again after a 409, which would be in vain here.
                context.Response.Headers["x-should-retry"] = "false";
            }

            await JsonResponses.WriteErrorAsync(context, error);
        }
    }

    /// <summary>For the log, which holds nothing that a caller wrote: the route, not the path.</summary>
    public static string RouteOf(HttpContext context) => (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "(no route)";

    /// <summary>
    /// <c>GET /v1/batches/</c>: OpenAI's npm client 6.49.0 sends it for an empty ID. Routing would answer with the list,
    /// which the client takes for a batch without a status.
    /// </summary>
    private static bool IsPathWithoutId(HttpRequest request) => request.Path.Value is { Length: > 1 } path && path[^1] == '/';

    private static void CheckHead(HttpRequest request)
    {
        if (request.Path.Value!.Length + (request.QueryString.Value?.Length ?? 0) > MaxUrlLength)
        {
            throw new ApiException(414, $"The URL is longer than {MaxUrlLength} characters.", null, "url_too_long");
        }

        if (request.Headers.Sum(header => header.Key.Length + header.Value.Sum(value => value?.Length ?? 0)) > MaxHeaderBytes)
        {
            throw new ApiException(431, $"The request's headers are larger than {MaxHeaderBytes} bytes.", null, "headers_too_large");
        }
    }

    private void Authenticate(HttpContext context)
    {
        if (context.Request.Path.StartsWithSegments("/healthz") || context.Request.Path.StartsWithSegments("/v1/healthz")
            || PageRoutes.Has(context.Request.Path))
        {
            return;
        }

        context.Items[OwnerKey] = keys.OwnerOf(context.Request)
            ?? throw new ApiException(401, "No API key, or not one that this service knows: send 'Authorization: Bearer KEY'.", null, "invalid_api_key");
    }

    private ApiException ErrorOf(HttpContext context, Exception exception)
    {
        switch (exception)
        {
            case ApiException error:
                return error;
            case BadHttpRequestException bad:
                return JsonResponses.ErrorOf(context, bad.StatusCode);
            case IOException or SqliteException or UnauthorizedAccessException:
                Log.RequestFailed(logger, context.Request.Method, RouteOf(context), exception.Message);
                return JsonResponses.StorageFailed();
            default:
                Log.RequestBroke(logger, context.Request.Method, RouteOf(context), exception);
                return new ApiException(500, "The service failed to answer; its log says more.", null, "internal_error");
        }
    }
}
