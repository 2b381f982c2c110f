using InferenceBatch.Lines;

namespace InferenceBatch.Server.Batches;

/// <summary>The size and time of a file, which show quickly whether it was changed.</summary>
internal readonly record struct FileStamp(long Length, DateTime WrittenAt)
{
    /// <exception cref="IOException">The file does not exist.</exception>
    public static FileStamp Of(string path)
    {
        var file = InputFile.Info(path);
        return new FileStamp(file.Length, file.LastWriteTimeUtc);
    }
}
