using InferenceBatch.Lines;

namespace InferenceBatch.Server.Batches;

/// <summary>What shows at a glance that a file was changed.</summary>
internal readonly record struct FileStamp(long Length, DateTime WrittenAt)
{
    /// <exception cref="IOException">There is no such file.</exception>
    public static FileStamp Of(string path)
    {
        var file = InputFile.Info(path);
        return new FileStamp(file.Length, file.LastWriteTimeUtc);
    }
}
