using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using StandardWebhooks;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>Verifies webhooks without code of this project: by hand according to the Standard Webhooks document, and with a third-party package.</summary>
internal static class SignatureCheck
{
    /// <summary>Checks the rule of the document: <c>v1,</c> and the base64 of HMAC-SHA256 over <c>id.timestamp.body</c>.</summary>
    public static bool ByHand(string secret, IHeaderDictionary headers, byte[] body)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{headers["webhook-id"]}.{headers["webhook-timestamp"]}."), .. body];
        string good = "v1," + Convert.ToBase64String(HMACSHA256.HashData(Convert.FromBase64String(secret["whsec_".Length..]), signed));
        return headers["webhook-signature"].Single()!.Split(' ').Contains(good);
    }

    /// <summary>Verifies with the package StandardWebhooks, which throws on failure. It also requires a timestamp near the machine's time.</summary>
    public static void ByPackage(string secret, IHeaderDictionary headers, byte[] body) =>
        new StandardWebhook(secret).Verify(Encoding.UTF8.GetString(body), headers);

    public static DateTimeOffset TimestampOf(IHeaderDictionary headers) =>
        DateTimeOffset.FromUnixTimeSeconds(long.Parse(headers["webhook-timestamp"].Single()!, CultureInfo.InvariantCulture));
}
