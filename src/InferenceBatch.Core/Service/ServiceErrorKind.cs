namespace InferenceBatch.Service;

/// <summary>What went wrong with a call, as a person would sort it; each name is the id of the error a cmdlet writes.</summary>
public enum ServiceErrorKind
{
    /// <summary>No key for a host that is not this machine.</summary>
    ApiKeyMissing,

    /// <summary>401: the key is wrong or was withdrawn.</summary>
    Unauthorized,

    /// <summary>403: the key may not do this.</summary>
    PermissionDenied,

    BatchNotFound,

    FileNotFound,

    /// <summary>429, after all tries.</summary>
    RateLimited,

    /// <summary>5xx, or no answer at all, after all tries.</summary>
    ServiceUnavailable,

    /// <summary>Another 4xx: the service understood and said no.</summary>
    ServiceRejected,

    /// <summary>404 or 405 without the API's error shape, or 501: the service has no such route.</summary>
    NotSupportedByService,

    /// <summary>409 on a cancel: the batch ended before.</summary>
    BatchNotCancellable,

    /// <summary>A file ended before its end, and could not be continued.</summary>
    DownloadIncomplete,
}
