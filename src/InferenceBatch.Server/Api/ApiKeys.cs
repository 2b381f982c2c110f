using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace InferenceBatch.Server.Api;

/// <summary>
/// The API keys that the service accepts. Only their hashes are kept. The owner of a file or batch is the first half of the
/// hash of its key, so a key finds its files and batches after a restart, and the database contains no key.
/// </summary>
internal sealed class ApiKeys
{
    private readonly byte[][] _hashes;

    /// <param name="keys">If empty, every request is accepted, with the owner "".</param>
    public ApiKeys(IEnumerable<string> keys) => _hashes = [.. keys.Select(Hash)];

    public bool AreRequired => _hashes.Length > 0;

    /// <summary>Returns the owner that a request acts for; null if it has no valid key.</summary>
    public string? OwnerOf(HttpRequest request)
    {
        if (!AreRequired)
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
            // Compare with every key in constant time, so that the duration reveals nothing about them.
            if (CryptographicOperations.FixedTimeEquals(hash, known))
            {
                owner = Convert.ToHexStringLower(known.AsSpan(0, 16));
            }
        }

        return owner;
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
