using System.Buffers;
using System.Globalization;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Storage;
using InferenceBatch.Wire;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Takes one <c>POST /files</c>: the multipart body goes to the disk as it arrives, fields in any order, and is
/// refused as soon as it is over the limit.
/// </summary>
internal sealed class FileUpload(EngineServices engine, HttpContext context)
{
    private const int ChunkSize = 128 * 1024;
    private const int MaxFieldBytes = 1024;
    private const int MaxFields = 16;
    private const int MaxNameLength = 255;

    /// <summary>What a multipart body may hold beside the file: boundaries, part headers, small fields.</summary>
    private const int MaxOverhead = 64 * 1024;

    private readonly Dictionary<string, string> _fields = [];
    private string? _name;
    private FileStream? _file;

    /// <summary>Reads the request to its end and keeps the file.</summary>
    /// <exception cref="ApiException">400, 413 or 415; nothing is kept.</exception>
    public async Task<FileRecord> ReceiveAsync()
    {
        try
        {
            await ReadAsync();
            if (_file is null || _name is null)
            {
                throw ApiException.Missing("file");
            }

            CheckPurpose();
            DateTimeOffset now = engine.Time.GetUtcNow();
            var record = new FileRecord
            {
                Id = Ids.NewFile(),
                Owner = ApiPipeline.OwnerOf(context),
                Name = _name,
                Purpose = "batch",
                Bytes = _file.Length,
                CreatedAt = now,
                ExpiresAt = ReadExpiry(now),
            };
            engine.Files.Keep(_file, record);
            return record;
        }
        finally
        {
            if (_file is not null)
            {
                await _file.DisposeAsync();
                File.Delete(_file.Name);
            }
        }
    }

    private async Task ReadAsync()
    {
        if (!MediaTypeHeaderValue.TryParse(context.Request.ContentType, out MediaTypeHeaderValue? type)
            || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
        {
            throw new ApiException(415, "The content type must be 'multipart/form-data'.", null, "unsupported_media_type");
        }

        string boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value is { Length: > 0 and <= 200 } text
            ? text
            : throw new ApiException(400, "The multipart content type names no boundary.", null, "invalid_multipart");
        if (context.Request.ContentLength > engine.Settings.MaxFileBytes + MaxOverhead)
        {
            throw TooLarge();
        }

        try
        {
            var reader = new MultipartReader(boundary, context.Request.Body, ChunkSize);
            for (int i = 0; await reader.ReadNextSectionAsync(context.RequestAborted) is { } section; i++)
            {
                if (i == MaxFields)
                {
                    throw new ApiException(400, $"The request has more than {MaxFields} fields.", null, "invalid_multipart");
                }

                await ReadSectionAsync(section);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException and not BadHttpRequestException)
        {
            throw new ApiException(400, "The multipart body is malformed or was cut off.", null, "invalid_multipart");
        }
    }

    private async Task ReadSectionAsync(MultipartSection section)
    {
        if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out ContentDispositionHeaderValue? disposition))
        {
            throw new ApiException(400, "A part of the request has no readable content-disposition.", null, "invalid_multipart");
        }

        string field = HeaderUtilities.RemoveQuotes(disposition.Name).Value ?? "";
        if (field != "file")
        {
            _fields[field] = await ReadFieldAsync(section.Body, field);
            return;
        }

        if (_file is not null)
        {
            throw ApiException.InvalidValue("One file a request.", "file");
        }

        _name = CleanName(disposition.FileNameStar.Value ?? HeaderUtilities.RemoveQuotes(disposition.FileName).Value ?? "");
        if (!_name.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase))
        {
            throw ApiException.InvalidValue("File type not allowed. Allowed extensions: .jsonl", "file");
        }

        try
        {
            _file = engine.Files.CreateTemporary();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw StorageFailed(exception);
        }

        await CopyAsync(section.Body, _file);
    }

    private async Task CopyAsync(Stream from, FileStream to)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            long bytes = 0;
            int read;
            while ((read = await from.ReadAsync(chunk, context.RequestAborted)) > 0)
            {
                bytes += read;
                if (bytes > engine.Settings.MaxFileBytes)
                {
                    throw TooLarge();
                }

                try
                {
                    await to.WriteAsync(chunk.AsMemory(0, read), context.RequestAborted);
                }
                catch (IOException exception)
                {
                    throw StorageFailed(exception);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private async Task<string> ReadFieldAsync(Stream body, string field)
    {
        byte[] bytes = new byte[MaxFieldBytes + 1];
        int length = await body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, context.RequestAborted);
        return length <= MaxFieldBytes
            ? System.Text.Encoding.UTF8.GetString(bytes, 0, length)
            : throw ApiException.InvalidValue($"The field is longer than {MaxFieldBytes} bytes.", Shorten(field));
    }

    private void CheckPurpose()
    {
        switch (_fields.GetValueOrDefault("purpose"))
        {
            case null or "":
                throw ApiException.Missing("purpose");
            case not "batch":
                throw ApiException.InvalidValue("Invalid value for 'purpose': this service takes 'batch'.", "purpose");
        }
    }

    private DateTimeOffset? ReadExpiry(DateTimeOffset now)
    {
        string? anchor = _fields.GetValueOrDefault("expires_after[anchor]");
        string? seconds = _fields.GetValueOrDefault("expires_after[seconds]");
        if (anchor is null && seconds is null)
        {
            return null;
        }

        if (anchor != "created_at")
        {
            throw ApiException.InvalidValue("Invalid value for 'expires_after[anchor]': 'created_at' is wanted.", "expires_after[anchor]");
        }

        return int.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is >= 3600 and <= 2592000
            ? now.AddSeconds(number)
            : throw ApiException.InvalidValue(
                "Invalid value for 'expires_after[seconds]': a whole number between 3600 and 2592000 is wanted.", "expires_after[seconds]");
    }

    /// <summary>Said here, where it is known to be the disk and not the request that failed.</summary>
    private ApiException StorageFailed(Exception exception)
    {
        Log.RequestFailed(engine.Logger, context.Request.Method, ApiPipeline.RouteOf(context), exception.Message);
        return JsonResponses.StorageFailed();
    }

    private ApiException TooLarge() =>
        new(413, $"The file is larger than {engine.Settings.MaxFileBytes} bytes.", "file", "file_too_large");

    /// <summary>The last part of a path, without control characters: a name to show, never one to open.</summary>
    private static string CleanName(string name)
    {
        string last = name[(name.AsSpan().LastIndexOfAny('/', '\\') + 1)..];
        string clean = new([.. last.Where(c => !char.IsControl(c))]);
        return TextCut.End(clean, MaxNameLength);
    }

    private static string Shorten(string text) => TextCut.Start(text, 64);
}
