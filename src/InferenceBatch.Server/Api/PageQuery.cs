namespace InferenceBatch.Server.Api;

/// <summary>Reads the query parameters that page a list.</summary>
internal static class PageQuery
{
    /// <summary>Reads <c>limit</c>.</summary>
    /// <exception cref="ApiException">400 <c>invalid_value</c>.</exception>
    public static int Limit(HttpRequest request, int defaultLimit, int max)
    {
        if (Text(request, "limit") is not { } text)
        {
            return defaultLimit;
        }

        return WholeNumber.TryRead(text, 1, max, out int limit)
            ? limit
            : throw ApiException.InvalidValue($"Invalid value for 'limit': it must be a whole number from 1 to {max}.", "limit");
    }

    /// <summary>Reads <c>order</c>. Returns true for newest first, which is the default.</summary>
    /// <exception cref="ApiException">400 <c>invalid_value</c>.</exception>
    public static bool NewestFirst(HttpRequest request) => Text(request, "order") switch
    {
        null or "desc" => true,
        "asc" => false,
        _ => throw ApiException.InvalidValue("Invalid value for 'order': it must be 'asc' or 'desc'.", "order"),
    };

    /// <summary>Returns a value of the query; null if it is missing or empty.</summary>
    public static string? Text(HttpRequest request, string name) => request.Query[name].ToString() is { Length: > 0 } text ? text : null;

    /// <summary>Creates the error for an <c>after</c> with an unknown ID.</summary>
    public static ApiException UnknownAfter() => ApiException.InvalidValue("Invalid value for 'after': the list has no item with this ID.", "after");
}
