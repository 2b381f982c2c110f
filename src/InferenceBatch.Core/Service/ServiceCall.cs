using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>One call of the API, in a form that can be sent again.</summary>
/// <param name="Method">The HTTP method.</param>
/// <param name="Path">Relative to the base address, without a leading slash.</param>
internal sealed record ServiceCall(HttpMethod Method, string Path)
{
    /// <summary>Makes the body anew for each try; calls its argument whenever bytes have moved.</summary>
    public Func<Action, HttpContent>? Content { get; init; }

    /// <summary>What a 404 means here.</summary>
    public ServiceErrorKind NotFound { get; init; } = ServiceErrorKind.NotSupportedByService;

    /// <summary>Set on a cancel: a 409 is its answer, not a reason to try again.</summary>
    public bool IsCancel { get; init; }

    /// <summary>Set where the service may carry the call out twice: after an ambiguous failure the caller looks first.</summary>
    public bool IsNotIdempotent { get; init; }

    /// <summary>Set where an answer says nothing of whether the Batch API is at this address.</summary>
    public bool IsOptionalRoute { get; init; }

    /// <summary>The first byte wanted of a file.</summary>
    public long RangeStart { get; init; }

    /// <summary>Escapes an id for a path; ids come from services and may begin with <c>-</c> or hold anything.</summary>
    /// <exception cref="ServiceException">The id is empty or a path of its own.</exception>
    public static string Escape(string id, ServiceErrorKind notFound) =>
        string.IsNullOrWhiteSpace(id) || id is "." or ".."
            ? throw new ServiceException(notFound, Messages.Text(notFound == ServiceErrorKind.BatchNotFound ? "BatchNotFound.NoId" : "FileNotFound.NoId", id))
            : Uri.EscapeDataString(id);
}
