using System.Net;
using System.Text;
using InferenceBatch.Http;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>Translates error responses and connection failures to <see cref="ServiceException"/>: kind, message, and whether a retry may help.</summary>
internal sealed class ErrorTranslator(ServiceConnection connection, TimeProvider time)
{
    /// <summary>The maximum number of bytes that are read of an error body, after decoding.</summary>
    private const int MaxBody = 64 * 1024;

    /// <summary>Reads a response with an error status.</summary>
    public async Task<ServiceException> ReadAsync(ServiceCall call, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        ServiceError? error = null;
        bool isJson = false;
        try
        {
            ReadOnlyMemory<byte> body = ContentDecoding.UnknownIn(response.Content) is not null ? default
                : await ResponseBody.ReadAsync(response, MaxBody, cancellationToken).ConfigureAwait(false);
            error = ErrorReader.ReadBody(body);
            isJson = ResponseBody.LooksLikeJson(body.Span) || (error is not null && body.Span is [(byte)'"', ..]);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            // Without the body, the status alone determines the error.
        }

        HttpStatusCode status = response.StatusCode;
        ServiceErrorKind kind = (int)status switch
        {
            401 => ServiceErrorKind.Unauthorized,
            403 => ServiceErrorKind.PermissionDenied,
            404 when isJson => call.NotFound,
            404 or 405 or 501 => ServiceErrorKind.NotSupportedByService,
            409 when call.IsCancel => ServiceErrorKind.BatchNotCancellable,
            429 => ServiceErrorKind.RateLimited,
            400 when error?.Code == "file_not_found" => ServiceErrorKind.FileNotFound,
            408 or >= 500 => ServiceErrorKind.ServiceUnavailable,
            _ => ServiceErrorKind.ServiceRejected,
        };
        string? requestId = SecretMask.Of(response.Headers.TryGetValues("x-request-id", out IEnumerable<string>? ids) ? ids.FirstOrDefault() : null);
        TimeSpan? retryAfter = RetryPolicy.ReadRetryAfter(response.Headers, time.GetUtcNow());
        return new ServiceException(kind, Describe(status, error, requestId, Advice(kind, error?.Code, retryAfter)))
        {
            StatusCode = status,
            Error = error,
            RequestId = requestId,
            IsTransient = RetryPolicy.IsTransient(status, response.Headers, error?.Code) && kind != ServiceErrorKind.BatchNotCancellable,
            RetryAfter = retryAfter,
        };
    }

    /// <summary>Returns the error of a connection that failed or stalled.</summary>
    /// <param name="cause">What failed.</param>
    /// <param name="wasAccepted">See <see cref="ServiceException.WasAccepted"/>.</param>
    /// <param name="timeout">How long the client waited for data.</param>
    public ServiceException Unreachable(Exception cause, bool wasAccepted, TimeSpan timeout) => new(
        ServiceErrorKind.ServiceUnavailable,
        cause is OperationCanceledException && !ConnectionFault.IsConnectTimeout(cause) ? Messages.Text("ServiceUnavailable.Silent", connection.BaseUri, timeout.TotalSeconds)
            : Messages.Text("ServiceUnavailable.Unreachable", connection.BaseUri, ConnectionFault.Describe(cause, connection.BaseUri), LocalAdvice()),
        cause)
    {
        WasAccepted = wasAccepted,
        NeverSent = ConnectionFault.IsConnectTimeout(cause) || cause is HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError,
        },
    };

    /// <summary>Returns the error of a response whose content coding is unknown.</summary>
    public ServiceException Undecodable(HttpResponseMessage response, string coding) => new(
        ServiceErrorKind.ServiceUnavailable, Messages.Text("ServiceUnavailable.Coding", connection.BaseUri, coding))
    {
        StatusCode = response.StatusCode,
        WasAccepted = true,
        IsTransient = false,
    };

    /// <summary>Whether the error may mean that the batch does not exist; see <see cref="ServiceProfile.UnknownBatchIs500"/>.</summary>
    public bool MayBeUnknownBatch(ServiceCall call, ServiceException problem) =>
        connection.Profile.UnknownBatchIs500 && call.NotFound == ServiceErrorKind.BatchNotFound
        && problem.StatusCode == HttpStatusCode.InternalServerError;

    /// <summary>Returns a 500 as "batch not found"; see <see cref="ServiceProfile.UnknownBatchIs500"/>.</summary>
    public static ServiceException AsBatchNotFound(ServiceException problem) => new(
        ServiceErrorKind.BatchNotFound,
        Messages.Text("BatchNotFound.As500", problem.Message), problem)
    {
        StatusCode = problem.StatusCode,
        Error = problem.Error,
        RequestId = problem.RequestId,
    };

    private string Describe(HttpStatusCode status, ServiceError? error, string? requestId, string advice)
    {
        var text = new StringBuilder(Messages.Text("Answer", connection.BaseUri, (int)status));
        if (error is null or { HasCause: false, Message: "" })
        {
            text = new StringBuilder(Messages.Text("Answer", connection.BaseUri, HttpPhrase.Of((int)status)));
        }
        else
        {
            bool hasBoth = error.Message.Length > 0 && error.HasCause;
            text.Append(": ").Append(hasBoth ? $"{error.Message.TrimEnd('.')} ({error.Code})" : error.Message.Length > 0 ? error.Message : error.Code);
        }

        text.Append(text[^1] is '.' or '!' or '?' ? " " : ". ");
        if (requestId is not null)
        {
            text.Append(Messages.Text("Answer.RequestId", requestId)).Append(' ');
        }

        return text.Append(advice).ToString().TrimEnd();
    }

    private static string Advice(ServiceErrorKind kind, string? code, TimeSpan? retryAfter) => kind switch
    {
        ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable when RetryRules.IsFinal(code) => Messages.Text("RateLimited.FinalAdvice"),
        ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable when retryAfter > RetryPolicy.LongestPause =>
            Messages.Text("RateLimited.LongPause", Math.Ceiling(retryAfter.Value.TotalSeconds)),
        ServiceErrorKind.Unauthorized => Messages.Text("Unauthorized.Advice"),
        ServiceErrorKind.PermissionDenied => Messages.Text("PermissionDenied.Advice"),
        ServiceErrorKind.RateLimited => Messages.Text("RateLimited.Advice"),
        ServiceErrorKind.ServiceUnavailable => Messages.Text("ServiceUnavailable.Advice"),
        ServiceErrorKind.NotSupportedByService => Messages.Text("NotSupportedByService.Advice"),
        ServiceErrorKind.BatchNotCancellable => Messages.Text("BatchNotCancellable.Advice"),
        ServiceErrorKind.BatchNotFound => Messages.Text("BatchNotFound.Advice"),
        ServiceErrorKind.FileNotFound => Messages.Text("FileNotFound.Advice"),
        _ => "",
    };

    private string LocalAdvice() => connection.Profile == ServiceProfile.Local
        ? Messages.Text("ServiceUnavailable.LocalService") : "";
}
