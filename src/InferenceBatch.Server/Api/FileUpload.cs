using System.Buffers;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Storage;
using InferenceBatch.Wire;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace InferenceBatch.Server.Api;

/// <summary>
/// Receives one <c>POST /files</c>. The multipart body is streamed to disk, accepts its fields in any order, and is refused
/// as soon as it exceeds the limit.
/// </summary>
internal sealed class FileUpload(EngineServices engine, HttpContext context)
{
    private const int ChunkSize = 128 * 1024;
    private const int MaxFieldBytes = 1024;
    private const int MaxFields = 16;
    private const int MaxNameLength = 255;

    /// <summary>The maximum size of a multipart body without the file: boundaries, part headers, small fields.</summary>
    private const int MaxOverhead = 64 * 1024;

    private readonly Dictionary<string, string> _fields = [];
    private string? _name;
    private FileStream? _file;

    /// <summary>Reads the request and stores the file.</summary>
    /// <exception cref="ApiException">400, 413, 415 or 507; nothing is stored.</exception>
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
            : throw new ApiException(400, "The multipart content type has no valid boundary.", null, "invalid_multipart");
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
            throw new ApiException(400, "The multipart body is malformed or incomplete.", null, "invalid_multipart");
        }
    }

    private async Task ReadSectionAsync(MultipartSection section)
    {
        if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out ContentDispositionHeaderValue? disposition))
        {
            throw new ApiException(400, "A part of the request has no valid content-disposition.", null, "invalid_multipart");
        }

        string field = HeaderUtilities.RemoveQuotes(disposition.Name).Value ?? "";
        if (field != "file")
        {
            _fields[field] = await ReadFieldAsync(section.Body, field);
            return;
        }

        if (_file is not null)
        {
            throw ApiException.InvalidValue("A request can upload only one file.", "file");
        }

        _name = CleanName(disposition.FileNameStar.Value ?? HeaderUtilities.RemoveQuotes(disposition.FileName).Value ?? "");
        if (!_name.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase))
        {
            throw ApiException.InvalidValue("The file name must end in .jsonl.", "file");
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
                throw ApiException.InvalidValue("Invalid value for 'purpose': it must be 'batch'.", "purpose");
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
            throw ApiException.InvalidValue("Invalid value for 'expires_after[anchor]': it must be 'created_at'.", "expires_after[anchor]");
        }

        return WholeNumber.TryRead(seconds, NewBatch.MinExpirySeconds, NewBatch.MaxExpirySeconds, out int number)
            ? now.AddSeconds(number)
            : throw ApiException.InvalidValue(
                $"Invalid value for 'expires_after[seconds]': it must be a whole number from {NewBatch.MinExpirySeconds} to {NewBatch.MaxExpirySeconds}.", "expires_after[seconds]");
    }

    /// <summary>Creates the error for a failed disk, here where it cannot be confused with a failed request.</summary>
    private ApiException StorageFailed(Exception exception)
    {
        Log.RequestFailed(engine.Logger, context.Request.Method, ApiPipeline.RouteOf(context), exception.Message);
        return JsonResponses.StorageFailed();
    }

    private ApiException TooLarge() =>
        new(413, $"The file is larger than {engine.Settings.MaxFileBytes} bytes.", "file", "file_too_large");

    /// <summary>Returns the last part of a path without control characters: a name to display, never to open.</summary>
    private static string CleanName(string name)
    {
        string last = name[(name.AsSpan().LastIndexOfAny('/', '\\') + 1)..];
        string clean = new([.. last.Where(c => !char.IsControl(c))]);
        return TextCut.End(clean, MaxNameLength);
    }

    private static string Shorten(string text) => TextCut.Start(text, 64);
}
