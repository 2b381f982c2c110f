using System.Globalization;
using System.Net;

namespace InferenceBatch.Model;

/// <summary>The words for an HTTP status: <c>404 Not Found</c>.</summary>
internal static class HttpPhrase
{
    /// <summary>Returns the status with its phrase; <c>HTTP 529</c> for a status without a phrase.</summary>
    public static string Of(int status) => Word(status) is { Length: > 0 } word
        ? string.Create(CultureInfo.InvariantCulture, $"{status} {word}")
        : string.Create(CultureInfo.InvariantCulture, $"HTTP {status}");

    private static string? Word(int status)
    {
        if (status is < 0 or > 999)
        {
            return null;
        }

        using var response = new HttpResponseMessage((HttpStatusCode)status);
        return response.ReasonPhrase;
    }
}
