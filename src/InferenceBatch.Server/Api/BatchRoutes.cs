using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Webhooks;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Api;

/// <summary>The routes of batches.</summary>
internal sealed class BatchRoutes(EngineServices engine, Scheduler scheduler, WebhookTargets webhookTargets)
{
    private const int DefaultPageSize = 20;
    private const int MaxPageSize = 100;

    /// <summary>A failed batch may list 10,000 errors, so a page ends early before it has more errors than this.</summary>
    private const int MaxErrorsPerPage = 20_000;

    private const int ReadSize = 10;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/batches", PostAsync);
        routes.MapMethods("/v1/batches", JsonResponses.ReadMethods, ListAsync);
        routes.MapMethods("/v1/batches/{id}", JsonResponses.ReadMethods, GetAsync);
        routes.MapPost("/v1/batches/{id}/cancel", CancelAsync);
    }

    private async Task PostAsync(HttpContext context)
    {
        using JsonDocument body = await JsonBody.ReadAsync(context);
        NewBatch create = NewBatch.Read(body.RootElement, webhookTargets);
        string owner = ApiPipeline.OwnerOf(context);
        FileRecord input = engine.Files.Find(create.InputFileId, owner)
            ?? throw NoInput(create.InputFileId);
        if (input.Purpose != "batch")
        {
            throw ApiException.InvalidValue($"The file '{input.Id}' has the purpose '{input.Purpose}'. An input file must have the purpose 'batch'.", "input_file_id");
        }

        DateTimeOffset now = engine.Time.GetUtcNow();
        var batch = new BatchRecord
        {
            Id = Ids.NewBatch(),
            Owner = owner,
            Endpoint = create.Endpoint,
            InputFileId = input.Id,
            CompletionWindow = NewBatch.CompletionWindow,
            Metadata = create.Metadata,
            WebhookUrl = create.WebhookUrl,
            OutputExpiresAfter = create.OutputExpiresAfter,
            Status = BatchStatus.Validating,
            CreatedAt = now,
            ExpiresAt = now + engine.Settings.CompletionWindow,
        };
        if (!scheduler.Create(batch))
        {
            throw NoInput(input.Id);
        }

        await WriteAsync(context, batch);
    }

    private static ApiException NoInput(string fileId) =>
        new(400, $"No file found with id '{ApiException.Shorten(fileId)}'.", "input_file_id", "file_not_found");

    private Task ListAsync(HttpContext context)
    {
        int limit = PageQuery.Limit(context.Request, DefaultPageSize, MaxPageSize);
        (List<BatchRecord> page, bool hasMore) = Page(ApiPipeline.OwnerOf(context), PageQuery.Text(context.Request, "after"), limit);
        return JsonResponses.WriteJsonAsync(context, 200, json => WireWriter.WritePage(
            json, page, hasMore, batch => batch.Id, (writer, batch) => WireWriter.WriteBatch(writer, batch.ToBatch())));
    }

    private (List<BatchRecord> Page, bool HasMore) Page(string owner, string? after, int limit)
    {
        var page = new List<BatchRecord>();
        int errors = 0;
        while (true)
        {
            List<BatchRecord> some = scheduler.List(owner, after, ReadSize) ?? throw PageQuery.UnknownAfter();
            foreach (BatchRecord batch in some)
            {
                if (page.Count == limit || (page.Count > 0 && errors + batch.Errors.Count > MaxErrorsPerPage))
                {
                    return (page, true);
                }

                page.Add(batch);
                errors += batch.Errors.Count;
            }

            if (some.Count < ReadSize)
            {
                return (page, false);
            }

            after = some[^1].Id;
        }
    }

    private Task GetAsync(HttpContext context) => WriteAsync(context, Find(context));

    private Task CancelAsync(HttpContext context)
    {
        Find(context);
        BatchRecord batch = scheduler.Cancel((string)context.Request.RouteValues["id"]!)!;
        return batch.Status is BatchStatus.Cancelling or BatchStatus.Cancelled
            ? WriteAsync(context, batch)
            : throw new ApiException(
                409, $"Cannot cancel a batch with status '{StatusWords.Write(batch.Status)}'.", null, "batch_not_cancellable");
    }

    private BatchRecord Find(HttpContext context)
    {
        string id = (string)context.Request.RouteValues["id"]!;
        return scheduler.Find(id) is { } batch && batch.Owner == ApiPipeline.OwnerOf(context)
            ? batch : throw ApiException.NotFound("batch", id);
    }

    private static Task WriteAsync(HttpContext context, BatchRecord batch) =>
        JsonResponses.WriteJsonAsync(context, 200, json => WireWriter.WriteBatch(json, batch.ToBatch()));
}
