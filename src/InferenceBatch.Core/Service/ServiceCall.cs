using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>A call of the API that can be sent several times.</summary>
/// <param name="Method">The HTTP method.</param>
/// <param name="Path">The path relative to the base address, without a leading slash.</param>
internal sealed record ServiceCall(HttpMethod Method, string Path)
{
    /// <summary>Creates the body for each attempt. The body calls the argument whenever data was sent.</summary>
    public Func<Action, HttpContent>? Content { get; init; }

    /// <summary>The meaning of a 404.</summary>
    public ServiceErrorKind NotFound { get; init; } = ServiceErrorKind.NotSupportedByService;

    /// <summary>Whether the call cancels a batch. A 409 is then final, and the call is not retried.</summary>
    public bool IsCancel { get; init; }

    /// <summary>Whether a retry may have a second effect. The call is not retried after an attempt with an unknown outcome.</summary>
    public bool IsNotIdempotent { get; init; }

    /// <summary>Whether a Batch API may lack this route, so that an error does not mean that the address is wrong.</summary>
    public bool IsOptionalRoute { get; init; }

    /// <summary>The offset of the first byte of a file to read.</summary>
    public long RangeStart { get; init; }

    /// <summary>Escapes an ID for a path. IDs come from services, and may start with <c>-</c> or contain any characters.</summary>
    /// <exception cref="ServiceException">The ID is empty, or would be a relative path.</exception>
    public static string Escape(string id, ServiceErrorKind notFound) =>
        string.IsNullOrWhiteSpace(id) || id is "." or ".."
            ? throw new ServiceException(notFound, Messages.Text(notFound == ServiceErrorKind.BatchNotFound ? "BatchNotFound.NoId" : "FileNotFound.NoId", id))
            : Uri.EscapeDataString(id);
}
