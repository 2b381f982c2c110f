using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Page;
using InferenceBatch.Server.Storage;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Api;

/// <summary>The middleware for every request: request ID, limits of URL and headers, API key, and JSON errors.</summary>
/// <param name="keys">The API keys that are accepted.</param>
/// <param name="instance">The ID of this service (<see cref="Database.Instance"/>), which every response has as a header; null for none.</param>
/// <param name="logger">Receives failures.</param>
internal sealed class ApiPipeline(ApiKeys keys, string? instance, ILogger logger)
{
    private const int MaxHeaderBytes = 32 * 1024;
    private const int MaxUrlLength = 8 * 1024;
    private const string OwnerKey = "owner";

    private static readonly PathString s_prefix = "/openai";
    private static readonly PathString s_version = "/v1";

    /// <summary>Returns the owner that a request acts for.</summary>
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
            CheckUrlAndHeaders(context.Request);
            MovePrefix(context.Request);
            if (!keys.AreRequired)
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
            // The caller has disconnected.
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
                // OpenAI's clients retry a 409, but a retry cannot succeed here.
                context.Response.Headers["x-should-retry"] = "false";
            }

            await JsonResponses.WriteErrorAsync(context, error);
        }
    }

    /// <summary>Returns the route template of a request for the log, because its path contains text of the caller.</summary>
    public static string RouteOf(HttpContext context) => (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "(no route)";

    /// <summary>
    /// Whether the path ends in a slash, such as <c>GET /v1/batches/</c>: OpenAI's npm client 6.49.0 sends this for an empty ID.
    /// Routing would answer with the list, which the client would read as a batch without a status.
    /// </summary>
    private static bool IsPathWithoutId(HttpRequest request) => request.Path.Value is { Length: > 1 } path && path[^1] == '/';

    /// <summary>
    /// Serves <c>/openai/v1/…</c> like <c>/v1/…</c>, because the clients of Groq and Azure OpenAI send <c>/openai</c> before the
    /// version. Everything after this step, such as the rules for keys, sees only <c>/v1/…</c>.
    /// </summary>
    private static void MovePrefix(HttpRequest request)
    {
        if (request.Path.StartsWithSegments(s_prefix, out PathString prefix, out PathString rest) && rest.StartsWithSegments(s_version))
        {
            (request.PathBase, request.Path) = (prefix, rest);
        }
    }

    private static void CheckUrlAndHeaders(HttpRequest request)
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
            ?? throw new ApiException(401, "The API key is missing or not valid. Send a key of this service as 'Authorization: Bearer KEY'.", null, "invalid_api_key");
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
                Log.RequestCrashed(logger, context.Request.Method, RouteOf(context), exception);
                return new ApiException(500, "An unexpected error occurred. The log of the service has details.", null, "internal_error");
        }
    }
}
