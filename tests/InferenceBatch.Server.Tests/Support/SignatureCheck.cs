using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using StandardWebhooks;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>Verifies webhooks without a line of the project's own code: by hand, after the Standard Webhooks document, and by a package of others.</summary>
internal static class SignatureCheck
{
    /// <summary>The document's rule: <c>v1,</c> and the base64 of HMAC-SHA256 over <c>id.timestamp.body</c>.</summary>
    public static bool ByHand(string secret, IHeaderDictionary headers, byte[] body)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{headers["webhook-id"]}.{headers["webhook-timestamp"]}."), .. body];
        string good = "v1," + Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(secret["whsec_".Length..]), signed));
        return headers["webhook-signature"].Single()!.Split(' ').Contains(good);
    }

    /// <summary>Throws what the package StandardWebhooks throws; it also wants the timestamp to be near the machine's time.</summary>
    public static void ByPackage(string secret, IHeaderDictionary headers, byte[] body) =>
        new StandardWebhook(secret).Verify(Encoding.UTF8.GetString(body), headers);

    public static DateTimeOffset TimestampOf(IHeaderDictionary headers) =>
        DateTimeOffset.FromUnixTimeSeconds(long.Parse(headers["webhook-timestamp"].Single()!, CultureInfo.InvariantCulture));
}
