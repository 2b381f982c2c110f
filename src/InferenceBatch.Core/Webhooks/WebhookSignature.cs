using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Webhooks;

/// <summary>
/// Signs and verifies webhooks according to Standard Webhooks: HMAC-SHA256 over <c>id.timestamp.body</c>, written as
/// <c>v1,BASE64</c>. A sender that rotates its secret sends several signatures, separated by spaces. One valid signature is
/// enough.
/// </summary>
/// <remarks>Thread-safe.</remarks>
public sealed class WebhookSignature
{
    /// <summary>The maximum difference between a timestamp and the current time.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(300);

    private const string SecretPrefix = "whsec_";
    private const string Version = "v1,";

    private readonly byte[] _key;
    private readonly TimeProvider _time;

    /// <param name="secret"><c>whsec_</c> and the key in base64. The prefix is optional.</param>
    /// <param name="time">The clock; the system clock if null.</param>
    /// <exception cref="ArgumentException">The secret is not valid. The message does not contain it.</exception>
    public WebhookSignature(string secret, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(secret);
        SecretMask.Add(secret);
        string base64 = secret.Trim();
        base64 = base64.StartsWith(SecretPrefix, StringComparison.Ordinal) ? base64[SecretPrefix.Length..] : base64;
        byte[] key = new byte[base64.Length];
        if (!Convert.TryFromBase64String(base64, key, out int length) || length == 0)
        {
            throw new ArgumentException(Messages.Text("InvalidValue.WebhookSecret"), nameof(secret));
        }

        _key = key[..length];
        _time = time ?? TimeProvider.System;
    }

    /// <summary>Returns the value of the header <c>webhook-signature</c> for a message.</summary>
    /// <param name="id">The value of <c>webhook-id</c>, which is the same for each delivery attempt.</param>
    /// <param name="timestamp">The time of this attempt, used in whole seconds.</param>
    /// <param name="body">The bytes of the body.</param>
    public string Sign(string id, DateTimeOffset timestamp, ReadOnlySpan<byte> body) =>
        SignatureOf(id, timestamp.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture), body);

    /// <summary>Whether a message was signed with this secret within <see cref="Tolerance"/>. Compares in constant time.</summary>
    /// <param name="id">The header <c>webhook-id</c>; null if it is missing, like the other headers.</param>
    /// <param name="timestamp">The header <c>webhook-timestamp</c>: seconds since 1970.</param>
    /// <param name="signatures">The header <c>webhook-signature</c>.</param>
    /// <param name="body">The received bytes.</param>
    public bool Verify(string? id, string? timestamp, string? signatures, ReadOnlySpan<byte> body)
    {
        if (string.IsNullOrEmpty(id) || timestamp is null || signatures is null
            || !long.TryParse(timestamp, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long seconds)
            || Math.Abs((decimal)seconds - _time.GetUtcNow().ToUnixTimeSeconds()) > (decimal)Tolerance.TotalSeconds)
        {
            return false;
        }

        byte[] expected = Encoding.ASCII.GetBytes(SignatureOf(id, timestamp, body));
        bool isValid = false;
        foreach (string item in signatures.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            isValid |= CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(item));
        }

        return isValid;
    }

    private string SignatureOf(string id, string timestamp, ReadOnlySpan<byte> body)
    {
        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        mac.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        mac.AppendData(body);
        return Version + Convert.ToBase64String(mac.GetHashAndReset());
    }
}
