using System.Net;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>A call to a service that did not succeed. The message says the status, the service's words and what to do; neither it nor a cause holds a key.</summary>
public sealed class ServiceException : Exception
{
    public ServiceException(ServiceErrorKind kind, string message, Exception? innerException = null)
        : base(SecretMask.Of(message), SecretMask.Of(innerException))
    {
        Kind = kind;
        IsTransient = kind is ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable;
    }

    public ServiceErrorKind Kind { get; }

    /// <summary>The HTTP status of the answer; null when there was none.</summary>
    public HttpStatusCode? StatusCode { get; init; }

    /// <summary>What the service said, where its answer had the API's shape.</summary>
    public ServiceError? Error { get; init; }

    /// <summary>The service's name for the call, for its support.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long the service asked to wait before the next try; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the same call may succeed later: by its kind, unless the answer said more.</summary>
    public bool IsTransient { get; init; }

    /// <summary>Whether the service may have carried the call out all the same (5xx or a lost connection).</summary>
    public bool IsAmbiguous => Kind == ServiceErrorKind.ServiceUnavailable && !NeverSent;

    /// <summary>Whether the service answered with success and JSON, though cut off or not of a shape known here: a page of a proxy's is none.</summary>
    public bool WasAccepted { get; init; }

    /// <summary>Whether a batch may have been created that was looked for and not found, or could not be looked for.</summary>
    public bool IsOutcomeUnknown { get; init; }

    /// <summary>Whether the connection failed before anything was sent.</summary>
    public bool NeverSent { get; init; }
}
