using InferenceBatch.Server.Batches;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Storage;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Api;

/// <summary>The routes of files.</summary>
internal sealed class FileRoutes(EngineServices engine, Scheduler scheduler)
{
    private const int MaxPageSize = 10_000;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/files", PostAsync);
        routes.MapMethods("/v1/files", JsonResponses.ReadMethods, ListAsync);
        routes.MapMethods("/v1/files/{id}", JsonResponses.ReadMethods, GetAsync);
        routes.MapDelete("/v1/files/{id}", DeleteAsync);
        routes.MapMethods("/v1/files/{id}/content", JsonResponses.ReadMethods, ContentAsync);
    }

    private async Task PostAsync(HttpContext context)
    {
        FileRecord file = await new FileUpload(engine, context).ReceiveAsync();
        await JsonResponses.WriteJsonAsync(context, 200, json => WireWriter.WriteFile(json, file.ToFile()));
    }

    private Task ListAsync(HttpContext context)
    {
        int limit = PageQuery.Limit(context.Request, MaxPageSize, MaxPageSize);
        List<FileRecord> files = engine.Database.Files.List(
            ApiPipeline.OwnerOf(context),
            engine.Time.GetUtcNow(),
            PageQuery.Text(context.Request, "purpose"),
            PageQuery.NewestFirst(context.Request),
            PageQuery.Text(context.Request, "after"),
            limit + 1) ?? throw PageQuery.UnknownAfter();
        return JsonResponses.WriteJsonAsync(context, 200, json => WireWriter.WritePage(
            json, [.. files.Take(limit)], files.Count > limit, file => file.Id, (writer, file) => WireWriter.WriteFile(writer, file.ToFile())));
    }

    private Task GetAsync(HttpContext context)
    {
        FileRecord file = Find(context);
        return JsonResponses.WriteJsonAsync(context, 200, json => WireWriter.WriteFile(json, file.ToFile()));
    }

    private Task DeleteAsync(HttpContext context)
    {
        FileRecord file = Find(context);
        if (FindPartial(context) is not null || !engine.Files.Delete(file.Id))
        {
            throw new ApiException(409, $"The file '{file.Id}' is in use by a batch that has not finished. Wait until the batch has ended, or cancel it.", "id", "file_in_use");
        }

        return JsonResponses.WriteJsonAsync(context, 200, json =>
        {
            json.WriteStartObject();
            json.WriteString("id", file.Id);
            json.WriteString("object", "file");
            json.WriteBoolean("deleted", true);
            json.WriteEndObject();
        });
    }

    private async Task ContentAsync(HttpContext context)
    {
        if (FindPartial(context) is (_, { } partial))
        {
            // Read lines before length, because the file may grow in between: a response must not count lines that it does not contain.
            long lines = partial.Lines;
            foreach (string path in new[] { partial.Path, engine.Files.PathOf((string)context.Request.RouteValues["id"]!) })
            {
                try
                {
                    await new FileContent(path, partial.Length, lines, etag: null).SendAsync(context);
                    return;
                }
                catch (FileNotFoundException)
                {
                    // The batch is ending, and its file was moved.
                }
            }
        }

        FileRecord file = Find(context);
        await new FileContent(engine.Files.PathOf(file.Id), file.Bytes, file.Lines, file.Id).SendAsync(context);
    }

    private FileRecord Find(HttpContext context)
    {
        // Look for a partial file first: the file of an ending batch gets its record before it stops being partial.
        string id = (string)context.Request.RouteValues["id"]!;
        return FindPartial(context) is ({ } batch, { } partial)
            ? new FileRecord
            {
                Id = id,
                Owner = batch.Owner,
                Name = ResultFileStore.NameOf(batch, id),
                Purpose = "batch_output",
                Bytes = partial.Length,
                CreatedAt = batch.InProgressAt ?? batch.CreatedAt,
            }
            : engine.Files.Find(id, ApiPipeline.OwnerOf(context)) ?? throw ApiException.NotFound("file", id);
    }

    private (BatchRecord Batch, ResultFileWriter File)? FindPartial(HttpContext context) =>
        scheduler.FindPartial((string)context.Request.RouteValues["id"]!) is { } found && found.Batch.Owner == ApiPipeline.OwnerOf(context)
            ? found : null;
}
