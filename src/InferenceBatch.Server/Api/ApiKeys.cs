using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace InferenceBatch.Server.Api;

/// <summary>
/// The keys the service takes. Only their hashes are kept; the owner of a file or batch is the first half of its
/// key's hash, so a key sees its own after a restart and the records hold no key.
/// </summary>
internal sealed class ApiKeys
{
    private readonly byte[][] _hashes;

    /// <param name="keys">None: everybody is let in, as owner "".</param>
    public ApiKeys(IEnumerable<string> keys) => _hashes = [.. keys.Select(Hash)];

    public bool AreNeeded => _hashes.Length > 0;

    /// <summary>Whose request this is; null when it has no key that is taken.</summary>
    public string? OwnerOf(HttpRequest request)
    {
        if (!AreNeeded)
        {
            return "";
        }

        string? key = AuthenticationHeaderValue.TryParse(request.Headers.Authorization, out AuthenticationHeaderValue? header)
            && header.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)
            ? header.Parameter : request.Headers["api-key"];
        byte[] hash = Hash(key ?? "");
        string? owner = null;
        foreach (byte[] known in _hashes)
        {
            // All are compared, in constant time, so that time tells nothing about any of them.
            if (CryptographicOperations.FixedTimeEquals(hash, known))
            {
                owner = Convert.ToHexStringLower(known.AsSpan(0, 16));
            }
        }

        return owner;
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
