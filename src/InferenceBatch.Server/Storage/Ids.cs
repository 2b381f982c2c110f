using System.Security.Cryptography;

namespace InferenceBatch.Server.Storage;

/// <summary>Makes ids: a prefix that says what it is, and 24 random letters and digits (142 bits).</summary>
internal static class Ids
{
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    public static string NewFile() => "file-" + Random();

    public static string NewBatch() => "batch_" + Random();

    public static string NewEvent() => "evt_" + Random();

    /// <summary>Opens nothing, and every line needs one: a fast generator will do.</summary>
    public static string NewRequest() => "req_" + System.Random.Shared.GetString(Alphabet, 24);

    private static string Random() => RandomNumberGenerator.GetString(Alphabet, 24);
}
