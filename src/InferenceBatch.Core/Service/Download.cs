using System.Runtime.CompilerServices;
using System.Text.Json;
using InferenceBatch.Http;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// Downloads a file of the service to disk. Writes to <c>NAME.part</c>, resumes an earlier download, and renames the file when
/// it is complete.
/// </summary>
public static class Download
{
    private const int MaxLastLine = 256 * 1024 * 1024;

    /// <summary>Downloads one file and replaces the file at <paramref name="path"/>.</summary>
    /// <param name="client">The service.</param>
    /// <param name="fileId">The file.</param>
    /// <param name="path">The path to write.</param>
    /// <param name="progress">Receives the bytes on disk so far and the total, if known.</param>
    /// <returns>Whether the file is complete; false if the service reports that it is still being written.</returns>
    /// <exception cref="FileUnwritableException">The disk is full or not writable. The partial file is kept, so that the download can be resumed.</exception>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.FileNotFound"/>, <see cref="ServiceErrorKind.DownloadIncomplete"/> and others.</exception>
    public static Task<bool> ToFileAsync(
        BatchClient client, string fileId, string path, IProgress<(long Bytes, long? Total)>? progress = null, CancellationToken cancellationToken = default) =>
        ToFileAsync(client, fileId, path, progress, RetryPolicy.Interactive, cancellationToken);

    /// <summary>
    /// Like <see cref="ToFileAsync(BatchClient, string, string, IProgress{ValueTuple{long, long?}}, CancellationToken)"/>, for a
    /// file of a batch. If the batch ended less than an hour ago, a file that is not found is retried for five minutes.
    /// </summary>
    public static async Task<bool> ToFileAsync(
        BatchClient client, Batch batch, string fileId, string path, IProgress<(long Bytes, long? Total)>? progress = null, CancellationToken cancellationToken = default)
    {
        var visibility = new LateVisibility(client.Time);
        while (true)
        {
            try
            {
                return await ToFileAsync(client, fileId, path, progress, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception) when (
                LateVisibility.IsNotFound(exception) && LateVisibility.MayHaveLateFiles(client.Time, batch) && visibility.MayAppear())
            {
                await visibility.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Like the public overload.</summary>
    /// <param name="client">The service.</param>
    /// <param name="fileId">The file.</param>
    /// <param name="path">The path to write.</param>
    /// <param name="progress">Receives the bytes on disk so far and the total, if known.</param>
    /// <param name="policy">The number of attempts to open the file.</param>
    /// <param name="cancellationToken">Cancels the download.</param>
    internal static async Task<bool> ToFileAsync(
        BatchClient client, string fileId, string path, IProgress<(long Bytes, long? Total)>? progress, RetryPolicy policy, CancellationToken cancellationToken)
    {
        string part = PartPath(fileId, path);
        bool isComplete;
        try
        {
            isComplete = await WritePartAsync(part, client, fileId, progress, policy, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception.InnerException is DamagedContentException || new FileInfo(part) is { Exists: true, Length: 0 })
        {
            File.Delete(part); // This part cannot be resumed.
            throw;
        }

        Disk.Move(part, path, overwrite: true);
        return isComplete;
    }

    /// <summary>Copies the part of an incomplete download to the file name. A later download can still resume it.</summary>
    internal static void KeepPartial(string fileId, string path)
    {
        string part = PartPath(fileId, path);
        try
        {
            if (File.Exists(part))
            {
                File.Copy(part, path, overwrite: true);
            }
        }
        catch (IOException)
        {
            // The disk is full. The part that fits is still useful.
        }
    }

    private static async Task<bool> WritePartAsync(
        string part, BatchClient client, string fileId, IProgress<(long Bytes, long? Total)>? progress, RetryPolicy policy, CancellationToken cancellationToken)
    {
        DiskStream file = Disk.Open(part, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            BufferSize = 1,
            Options = FileOptions.Asynchronous,
        });
        await using ConfiguredAsyncDisposable closingFile = file.ConfigureAwait(false);
        long? total = file.Length > 0 ? await SizeAsync(client, fileId, cancellationToken).ConfigureAwait(false) : null;
        file.SetLength(file.Length <= total ? file.Length : 0);
        file.Position = file.Length;
        if (file.Length == total)
        {
            return true; // An earlier download ended after the last byte, but before the rename.
        }

        var content = new ContentStream(client, fileId, file.Length, policy);
        await using ConfiguredAsyncDisposable closing = content.ConfigureAwait(false);
        byte[] buffer = new byte[128 * 1024];
        int read;
        while ((read = await content.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
            progress?.Report((file.Position, content.TotalBytes));
        }

        file.Flush(flushToDisk: true);
        if (content.TotalBytes is null && !content.IsPartial && !EndsWithCompleteLine(part))
        {
            throw new ServiceException(
                ServiceErrorKind.DownloadIncomplete,
                Messages.Text("DownloadIncomplete.LengthUnknown", fileId, file.Length));
        }

        return !content.IsPartial;
    }

    /// <summary>Whether the last line ends with a line feed, or is valid JSON.</summary>
    private static bool EndsWithCompleteLine(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        for (long length = 64 * 1024; ; length *= 4)
        {
            byte[] tail = new byte[Math.Min(length, file.Length)];
            file.Position = file.Length - tail.Length;
            file.ReadExactly(tail);
            int lineFeed = tail.AsSpan().LastIndexOf((byte)'\n');
            if (lineFeed >= 0 || tail.Length == file.Length || tail.Length >= MaxLastLine)
            {
                return IsEmptyOrJson(tail.AsMemory(lineFeed + 1));
            }
        }
    }

    private static bool IsEmptyOrJson(ReadOnlyMemory<byte> line)
    {
        try
        {
            using JsonDocument? document = line.IsEmpty ? null : JsonDocument.Parse(line);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Returns the path of a partial file. It contains the ID, so that a download never resumes the part of another file.</summary>
    private static string PartPath(string fileId, string path) => $"{path}.{PlainId(fileId)}.part";

    private static string PlainId(string id) => string.Concat(id.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '_'));

    /// <summary>Returns the size of the file; null if the service does not report it. The file is then downloaded from the start.</summary>
    private static async Task<long?> SizeAsync(BatchClient client, string fileId, CancellationToken cancellationToken)
    {
        try
        {
            return (await client.GetFileAsync(fileId, cancellationToken).ConfigureAwait(false)).Bytes is > 0 and { } bytes ? bytes : null;
        }
        catch (ServiceException)
        {
            return null; // Some services have no such route.
        }
    }
}
