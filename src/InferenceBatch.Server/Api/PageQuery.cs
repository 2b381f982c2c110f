using System.Globalization;

namespace InferenceBatch.Server.Api;

/// <summary>Reads the paging of lists.</summary>
internal static class PageQuery
{
    /// <summary>Reads <c>limit</c>.</summary>
    /// <exception cref="ApiException">400 <c>invalid_value</c>.</exception>
    public static int Limit(HttpRequest request, int standard, int most)
    {
        if (Text(request, "limit") is not { } text)
        {
            return standard;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) && limit >= 1 && limit <= most
            ? limit
            : throw ApiException.InvalidValue($"Invalid value for 'limit': a whole number between 1 and {most} is wanted.", "limit");
    }

    /// <summary>Reads <c>order</c>; true for newest first, which is the standard.</summary>
    /// <exception cref="ApiException">400 <c>invalid_value</c>.</exception>
    public static bool NewestFirst(HttpRequest request) => Text(request, "order") switch
    {
        null or "desc" => true,
        "asc" => false,
        _ => throw ApiException.InvalidValue("Invalid value for 'order': 'asc' or 'desc' is wanted.", "order"),
    };

    /// <summary>A value of the query; null where it is missing or empty.</summary>
    public static string? Text(HttpRequest request, string name) => request.Query[name].ToString() is { Length: > 0 } text ? text : null;

    /// <summary>The error for an <c>after</c> that names nothing.</summary>
    public static ApiException UnknownAfter() => ApiException.InvalidValue("Invalid value for 'after': there is no such id.", "after");
}
