using System.Security.Cryptography;

namespace InferenceBatch.Server.Storage;

/// <summary>Makes ids: a prefix that says what it is, and 24 random letters and digits (142 bits).</summary>
internal static class Ids
{
    private const string FileStart = "file-";
    private const int Length = 24;
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    public static string NewFile() => FileStart + Random();

    /// <summary>Whether a name is one of <see cref="NewFile"/>.</summary>
    public static bool IsFile(string name) => name.StartsWith(FileStart, StringComparison.Ordinal)
        && name.Length == FileStart.Length + Length && name.Skip(FileStart.Length).All(char.IsAsciiLetterOrDigit);

    public static string NewBatch() => "batch_" + Random();

    public static string NewEvent() => "evt_" + Random();

    public static string NewInstance() => "inst_" + Random();

    /// <summary>Opens nothing, and every line needs one: a fast generator will do.</summary>
    public static string NewRequest() => "req_" + System.Random.Shared.GetString(Alphabet, Length);

    private static string Random() => RandomNumberGenerator.GetString(Alphabet, Length);
}
