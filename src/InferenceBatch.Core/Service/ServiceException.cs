using System.Net;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>A failed call. The message has the status, the message of the service, and advice. Neither the message nor the inner exception contains a key.</summary>
public sealed class ServiceException : Exception
{
    public ServiceException(ServiceErrorKind kind, string message, Exception? innerException = null)
        : base(PlainText.Of(SecretMask.Of(message)), SecretMask.Of(innerException))
    {
        Kind = kind;
        IsTransient = kind is ServiceErrorKind.RateLimited or ServiceErrorKind.ServiceUnavailable;
    }

    public ServiceErrorKind Kind { get; }

    /// <summary>The HTTP status of the response; null if there was no response.</summary>
    public HttpStatusCode? StatusCode { get; init; }

    /// <summary>The error object of the service; null if the response had none.</summary>
    public ServiceError? Error { get; init; }

    /// <summary>The request ID of the service, for its support.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long the service asks to wait before a retry; null if it does not.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the same call may succeed later. Follows from the kind, unless the response says more.</summary>
    public bool IsTransient { get; init; }

    /// <summary>Whether the call may have had its effect in spite of the error (5xx or a broken connection).</summary>
    public bool IsAmbiguous => Kind == ServiceErrorKind.ServiceUnavailable && !NeverSent;

    /// <summary>Whether the service responded with success and JSON that is incomplete or not valid. False for other content, such as a page of a proxy.</summary>
    public bool WasAccepted { get; init; }

    /// <summary>Whether a batch may have been created, although the lookup did not find it or failed.</summary>
    public bool IsOutcomeUnknown { get; init; }

    /// <summary>Whether the call failed before the request was sent.</summary>
    public bool NeverSent { get; init; }
}
