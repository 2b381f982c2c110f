using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using InferenceBatch.Lines;

namespace InferenceBatch.Service;

/// <summary>
/// A multipart form with one file, streamed from disk with constant memory use. Written by hand because servers expect a plain,
/// quoted file name (RFC 7578), but the class of the framework adds a second, encoded file name.
/// </summary>
internal sealed class UploadContent : HttpContent
{
    private const int BufferSize = 128 * 1024;

    private readonly string _path;
    private readonly long _offset;
    private readonly long _length;
    private readonly DateTime _written;
    private readonly byte[] _head;
    private readonly byte[] _tail;
    private readonly IProgress<long>? _progress;

    /// <param name="offset">The number of bytes to skip at the start of the file.</param>
    public UploadContent(string path, string fileName, IEnumerable<(string Name, string Value)> fields, IProgress<long>? progress, long offset = 0)
    {
        _path = path;
        _offset = offset;
        _progress = progress;
        var file = InputFile.Info(path);
        (_length, _written) = (Math.Max(0, file.Length - offset), file.LastWriteTimeUtc);
        string boundary = "InferenceBatch-" + Guid.NewGuid().ToString("N");
        var head = new StringBuilder();
        foreach ((string name, string value) in fields)
        {
            head.Append(CultureInfo.InvariantCulture, $"--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }

        head.Append(CultureInfo.InvariantCulture, $"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{PlainName(fileName)}\"\r\n");
        head.Append("Content-Type: application/jsonl\r\n\r\n");
        _head = Encoding.ASCII.GetBytes(head.ToString());
        _tail = Encoding.ASCII.GetBytes($"\r\n--{boundary}--\r\n");
        Headers.ContentType = MediaTypeHeaderValue.Parse($"multipart/form-data; boundary={boundary}");
    }

    /// <summary>Returns a file name that every server accepts: ASCII letters, digits and <c>._- </c>, with the extension <c>.jsonl</c>.</summary>
    public static string PlainName(string fileName)
    {
        string plain = string.Concat(fileName.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or ' ' ? c : '_'));
        return plain.EndsWith(".jsonl", StringComparison.Ordinal) ? plain : plain + ".jsonl";
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _head.Length + _length + _tail.Length;
        return true;
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        FileStream file = Open();
        await using ConfiguredAsyncDisposable closing = file.ConfigureAwait(false);
        await stream.WriteAsync(_head, cancellationToken).ConfigureAwait(false);
        byte[] buffer = new byte[BufferSize];
        long sent = 0;
        while (true)
        {
            int read = Read(file, buffer);
            if (read == 0 || sent + read > _length)
            {
                sent += read;
                break;
            }

            await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
            sent += read;
            _progress?.Report(sent);
        }

        if (sent != _length || File.GetLastWriteTimeUtc(file.SafeFileHandle) != _written)
        {
            throw new FileChangedException(_path);
        }

        await stream.WriteAsync(_tail, cancellationToken).ConfigureAwait(false);
    }

    /// <remarks>Marks the errors of the disk, because errors of the network are retried.</remarks>
    private FileStream Open()
    {
        try
        {
            return new FileStream(
                _path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1, FileOptions.SequentialScan)
            {
                Position = _offset,
            };
        }
        catch (IOException exception)
        {
            throw new FileUnreadableException(_path, exception);
        }
    }

    /// <summary>Reads synchronously, because data in the page cache arrives faster than a switch to another thread.</summary>
    private int Read(FileStream file, byte[] buffer)
    {
        try
        {
            return file.Read(buffer);
        }
        catch (IOException exception)
        {
            throw new FileUnreadableException(_path, exception);
        }
    }
}
