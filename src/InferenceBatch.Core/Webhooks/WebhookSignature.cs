using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Webhooks;

/// <summary>
/// Signs and verifies webhooks as Standard Webhooks has it: HMAC-SHA256 over <c>id.timestamp.body</c>, written
/// <c>v1,BASE64</c>. A sender that changes its secret sends several signatures, parted by blanks; one good one is enough.
/// </summary>
/// <remarks>Safe for several threads.</remarks>
public sealed class WebhookSignature
{
    /// <summary>How far a timestamp may be from now, either way.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(300);

    private const string SecretPrefix = "whsec_";
    private const string Version = "v1,";

    private readonly byte[] _key;
    private readonly TimeProvider _time;

    /// <param name="secret"><c>whsec_</c> and the key in base64; the prefix may be missing.</param>
    /// <param name="time">Where the time is read.</param>
    /// <exception cref="ArgumentException">No such secret. The message does not hold it.</exception>
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

    /// <summary>The value of the header <c>webhook-signature</c> for a message.</summary>
    /// <param name="id">The value of <c>webhook-id</c>; the same for every try to deliver the message.</param>
    /// <param name="timestamp">When this try is made; whole seconds count.</param>
    /// <param name="body">The bytes that are sent.</param>
    public string Sign(string id, DateTimeOffset timestamp, ReadOnlySpan<byte> body) =>
        Written(id, timestamp.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture), body);

    /// <summary>Whether a message was signed with this secret, not too long ago. The time it takes tells nothing of the signature.</summary>
    /// <param name="id">The header <c>webhook-id</c>; null where it is missing, as for the others.</param>
    /// <param name="timestamp">The header <c>webhook-timestamp</c>: seconds since 1970.</param>
    /// <param name="signatures">The header <c>webhook-signature</c>.</param>
    /// <param name="body">The bytes that came.</param>
    public bool Verify(string? id, string? timestamp, string? signatures, ReadOnlySpan<byte> body)
    {
        if (string.IsNullOrEmpty(id) || timestamp is null || signatures is null
            || !long.TryParse(timestamp, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long seconds)
            || Math.Abs((decimal)seconds - _time.GetUtcNow().ToUnixTimeSeconds()) > (decimal)Tolerance.TotalSeconds)
        {
            return false;
        }

        byte[] good = Encoding.ASCII.GetBytes(Written(id, timestamp, body));
        bool isGood = false;
        foreach (string item in signatures.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            isGood |= CryptographicOperations.FixedTimeEquals(good, Encoding.UTF8.GetBytes(item));
        }

        return isGood;
    }

    private string Written(string id, string timestamp, ReadOnlySpan<byte> body)
    {
        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _key);
        mac.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        mac.AppendData(body);
        return Version + Convert.ToBase64String(mac.GetHashAndReset());
    }
}
