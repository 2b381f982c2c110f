using System.Security.Cryptography;

namespace InferenceBatch.Server.Storage;

/// <summary>Creates IDs: a prefix for the kind of object, and 24 random letters and digits (142 bits).</summary>
internal static class Ids
{
    private const string FilePrefix = "file-";
    private const int Length = 24;
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    public static string NewFile() => FilePrefix + Random();

    /// <summary>Whether a name has the format of <see cref="NewFile"/>.</summary>
    public static bool IsFile(string name) => name.StartsWith(FilePrefix, StringComparison.Ordinal)
        && name.Length == FilePrefix.Length + Length && name.Skip(FilePrefix.Length).All(char.IsAsciiLetterOrDigit);

    public static string NewBatch() => "batch_" + Random();

    public static string NewEvent() => "evt_" + Random();

    public static string NewInstance() => "inst_" + Random();

    /// <summary>Creates a request ID. It gives no access, and every line needs one, so a fast generator is enough.</summary>
    public static string NewRequest() => "req_" + System.Random.Shared.GetString(Alphabet, Length);

    private static string Random() => RandomNumberGenerator.GetString(Alphabet, Length);
}
