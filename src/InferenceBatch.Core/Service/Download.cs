using System.Runtime.CompilerServices;
using System.Text.Json;
using InferenceBatch.Http;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Service;

/// <summary>
/// Brings a file of the service to disk: into <c>NAME.part</c>, continued where an earlier try broke off, renamed to
/// its name once it is whole.
/// </summary>
public static class Download
{
    private const int MaxLastLine = 256 * 1024 * 1024;

    /// <summary>Downloads one file, replacing what is at <paramref name="path"/>.</summary>
    /// <param name="client">The service.</param>
    /// <param name="fileId">The file.</param>
    /// <param name="path">Where it goes.</param>
    /// <param name="progress">Told the bytes on disk so far and, where known, in all.</param>
    /// <returns>Whether the file is whole; false when the service said that it is still being written.</returns>
    /// <exception cref="FileUnwritableException">The disk is full or not writable; what there is of the part stays, to continue from.</exception>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.FileNotFound"/>, <see cref="ServiceErrorKind.DownloadIncomplete"/> and others.</exception>
    public static Task<bool> ToFileAsync(
        BatchClient client, string fileId, string path, IProgress<(long Bytes, long? Total)>? progress = null, CancellationToken cancellationToken = default) =>
        ToFileAsync(client, fileId, path, progress, RetryPolicy.Interactive, cancellationToken);

    /// <summary>
    /// As <see cref="ToFileAsync(BatchClient, string, string, IProgress{ValueTuple{long, long?}}, CancellationToken)"/>, for
    /// a file that a batch names: where the batch ended less than an hour ago, the service has five minutes to show the file.
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

    /// <summary>As the public one.</summary>
    /// <param name="client">The service.</param>
    /// <param name="fileId">The file.</param>
    /// <param name="path">Where it goes.</param>
    /// <param name="progress">Told the bytes on disk so far and, where known, in all.</param>
    /// <param name="policy">How often to try to open the file.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal static async Task<bool> ToFileAsync(
        BatchClient client, string fileId, string path, IProgress<(long Bytes, long? Total)>? progress, RetryPolicy policy, CancellationToken cancellationToken)
    {
        string part = PartOf(fileId, path);
        bool isWhole;
        try
        {
            isWhole = await FillAsync(part, client, fileId, progress, policy, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception.InnerException is DamagedContentException || new FileInfo(part) is { Exists: true, Length: 0 })
        {
            File.Delete(part); // There is nothing to continue.
            throw;
        }

        Disk.Move(part, path, overwrite: true);
        return isWhole;
    }

    /// <summary>Copies what a broken download has brought so far to the file's name; a later download continues it all the same.</summary>
    internal static void KeepBegun(string fileId, string path)
    {
        string part = PartOf(fileId, path);
        try
        {
            if (File.Exists(part))
            {
                File.Copy(part, path, overwrite: true);
            }
        }
        catch (IOException)
        {
            // The disk is full: what fits of it is better than nothing.
        }
    }

    private static async Task<bool> FillAsync(
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
            return true; // An earlier try ended between the last byte and the new name.
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
        if (content.TotalBytes is null && !content.IsPartial && !EndsWithWholeLine(part))
        {
            throw new ServiceException(
                ServiceErrorKind.DownloadIncomplete,
                Messages.Text("DownloadIncomplete.LengthUnknown", fileId, file.Length));
        }

        return !content.IsPartial;
    }

    /// <summary>Whether the last line ends with a line feed, or is JSON as it stands.</summary>
    private static bool EndsWithWholeLine(string path)
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

    /// <summary>The id is part of the name: a part left by another file is not continued with this one.</summary>
    private static string PartOf(string fileId, string path) => $"{path}.{PlainId(fileId)}.part";

    private static string PlainId(string id) => string.Concat(id.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '_'));

    /// <summary>The size of the file; null where the service does not say, and then it is brought anew.</summary>
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
