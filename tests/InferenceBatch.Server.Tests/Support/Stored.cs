using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>What is stored at this moment: the files of the database as a kill would leave them, opened elsewhere.</summary>
internal static class Stored
{
    public static T Read<T>(string dataPath, Func<Database, T> read)
    {
        using var copy = new TempFolder();
        foreach (string path in Directory.GetFiles(dataPath, "batches.db*"))
        {
            File.Copy(path, copy.File(Path.GetFileName(path)));
        }

        using Database database = Database.Open(copy.File("batches.db"));
        return read(database);
    }
}
