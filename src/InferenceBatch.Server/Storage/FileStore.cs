using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>
/// The stored files. A file gets its final name only when it is complete and on disk: temporary name, fsync, rename.
/// Names on disk are IDs of the service, never names from a caller.
/// </summary>
internal sealed class FileStore(DataFolder folder, Database database, TimeProvider time)
{
    private const int DiskIsFull = 13; // SQLITE_FULL

    public string PathOf(string fileId) => Path.Combine(folder.FilesPath, fileId);

    /// <summary>Creates a temporary file to write to. <see cref="Keep"/> stores it; otherwise the caller deletes it.</summary>
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

    /// <summary>Stores a temporary file with its record. If a crash interrupts this, <see cref="Recover"/> completes it.</summary>
    public void Keep(FileStream temporary, FileRecord record)
    {
        temporary.Flush(folder.IsDurable);
        string pending = PendingPathOf(record.Id);
        File.Move(temporary.Name, pending);
        folder.Sync(folder.TempPath);
        try
        {
            database.Files.Insert(record);
        }
        catch
        {
            File.Delete(pending);
            throw;
        }

        Move(pending, PathOf(record.Id));
    }

    /// <summary>
    /// Completes what a crash interrupted: files in the temporary folder are stored if they have a record, otherwise deleted.
    /// Files with other names are left unchanged. Call it before anything else.
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

    /// <summary>Returns a file; null if it does not exist, has expired, or belongs to another owner.</summary>
    public FileRecord? Find(string id, string owner) =>
        database.Files.Find(id) is { } file && file.Owner == owner && !Expiry.IsReached(file.ExpiresAt, time.GetUtcNow()) ? file : null;

    /// <summary>Deletes a file and returns true, unless it is the input of a batch that has not ended. A reader that has the file open can still read it.</summary>
    public bool Delete(string id)
    {
        bool isDeleted;
        try
        {
            isDeleted = RemoveRecord(id);
        }
        catch (SqliteException exception) when (File.Exists(PendingPathOf(id)))
        {
            if (exception.SqliteErrorCode != DiskIsFull)
            {
                Move(PendingPathOf(id), PathOf(id));
                throw;
            }

            // On a full disk, delete the file first: this makes the space that deleting the record requires.
            File.Delete(PendingPathOf(id));
            isDeleted = RemoveRecord(id);
        }

        if (isDeleted)
        {
            File.Delete(PendingPathOf(id));
        }

        return isDeleted;
    }

    /// <summary>Deletes the files that have expired, except the inputs of batches that have not ended.</summary>
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
            // Check and delete in one transaction, so that no batch for the file can be created in between.
            isFree = !database.Batches.NeedsInput(id);
            if (isFree)
            {
                database.Files.Delete(id);
                if (File.Exists(PathOf(id)))
                {
                    Move(PathOf(id), PendingPathOf(id));
                }
            }
        });
        return isFree;
    }

    /// <summary>Returns the path of a file while its record is being added or deleted.</summary>
    private string PendingPathOf(string fileId) => Path.Combine(folder.TempPath, fileId);

    private void Move(string from, string to)
    {
        File.Move(from, to);
        folder.Sync(folder.FilesPath);
        folder.Sync(folder.TempPath);
    }
}
