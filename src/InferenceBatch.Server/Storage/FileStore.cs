using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The bytes of files. A file gets its name only when it is whole and on the disk: temporary name, fsync, rename.
/// Names on disk are the service's own ids, never a name that came from outside.
/// </summary>
internal sealed class FileStore(DataFolder folder, Database database, TimeProvider time)
{
    /// <summary>SQLITE_FULL.</summary>
    private const int DiskIsFull = 13;

    public string PathOf(string fileId) => Path.Combine(folder.FilesPath, fileId);

    /// <summary>Opens a new file to write to; dispose it without <see cref="Keep"/> and it is gone.</summary>
    public FileStream CreateTemporary() => new(
        folder.NewTemporaryPath(),
        new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read | FileShare.Delete,
            BufferSize = 0,
            Options = FileOptions.Asynchronous,
        });

    /// <summary>Makes a temporary file a kept one: what has a record has its bytes, at the latest after <see cref="Recover"/>.</summary>
    public void Keep(FileStream temporary, FileRecord record)
    {
        temporary.Flush(folder.IsDurable);
        string between = Between(record.Id);
        File.Move(temporary.Name, between);
        folder.Sync(folder.TempPath);
        try
        {
            database.Files.Insert(record);
        }
        catch
        {
            File.Delete(between);
            throw;
        }

        Move(between, PathOf(record.Id));
    }

    /// <summary>
    /// Ends what a crash left between the folders: bytes with a record are kept, others go. Before anything else is done.
    /// What has a name that the service does not give is left alone.
    /// </summary>
    public void Recover()
    {
        foreach (string path in Directory.EnumerateFiles(folder.TempPath))
        {
            string name = Path.GetFileName(path);
            bool isFile = Ids.IsFile(name);
            if (isFile && database.Files.Find(name) is not null)
            {
                Move(path, PathOf(name));
            }
            else if (isFile || DataFolder.IsTemporary(name))
            {
                File.Delete(path);
            }
        }
    }

    /// <summary>A file by id that is its owner's and whose time is not up; else null.</summary>
    public FileRecord? Find(string id, string owner) =>
        database.Files.Find(id) is { } file && file.Owner == owner && !(file.ExpiresAt <= time.GetUtcNow()) ? file : null;

    /// <summary>Deletes a file, unless a batch that has not ended needs it; one that is being read stays readable to its reader.</summary>
    public bool Delete(string id)
    {
        bool isDeleted;
        try
        {
            isDeleted = RemoveRecord(id);
        }
        catch (SqliteException exception) when (File.Exists(Between(id)))
        {
            if (exception.SqliteErrorCode != DiskIsFull)
            {
                Move(Between(id), PathOf(id));
                throw;
            }

            // To delete is how people make room: then the bytes go first.
            File.Delete(Between(id));
            isDeleted = RemoveRecord(id);
        }

        if (isDeleted)
        {
            File.Delete(Between(id));
        }

        return isDeleted;
    }

    /// <summary>Deletes files whose time is up, those that a running batch reads excepted.</summary>
    public void DeleteExpired()
    {
        foreach (FileRecord file in database.Files.Expired(time.GetUtcNow()))
        {
            Delete(file.Id);
        }
    }

    private bool RemoveRecord(string id)
    {
        bool isFree = false;
        database.Write(() =>
        {
            // With the look in one transaction: a batch made at the same moment sees the file, or the file sees the batch.
            isFree = !database.Batches.NeedsInput(id);
            if (isFree)
            {
                database.Files.Delete(id);
                if (File.Exists(PathOf(id)))
                {
                    Move(PathOf(id), Between(id));
                }
            }
        });
        return isFree;
    }

    /// <summary>Where a file stands while its record comes or goes.</summary>
    private string Between(string fileId) => Path.Combine(folder.TempPath, fileId);

    private void Move(string from, string to)
    {
        File.Move(from, to);
        folder.Sync(folder.FilesPath);
        folder.Sync(folder.TempPath);
    }
}
