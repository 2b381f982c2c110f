namespace InferenceBatch.Service;

/// <summary>The kind of a failed call. Each name is the ID of the error that a cmdlet writes.</summary>
public enum ServiceErrorKind
{
    /// <summary>There is no key, and the host is not this machine.</summary>
    ApiKeyMissing,

    /// <summary>401: the key is wrong or was revoked.</summary>
    Unauthorized,

    /// <summary>403: the key may not do this.</summary>
    PermissionDenied,

    BatchNotFound,

    FileNotFound,

    /// <summary>429, after all attempts.</summary>
    RateLimited,

    /// <summary>5xx, or no response, after all attempts.</summary>
    ServiceUnavailable,

    /// <summary>Another 4xx: the service understood the request and refused it.</summary>
    ServiceRejected,

    /// <summary>404 or 405 without an error object of the API, or 501: the service does not have this route.</summary>
    NotSupportedByService,

    /// <summary>409 for a cancel: the batch has already ended.</summary>
    BatchNotCancellable,

    /// <summary>A download broke off and could not be resumed, or is incomplete.</summary>
    DownloadIncomplete,
}
