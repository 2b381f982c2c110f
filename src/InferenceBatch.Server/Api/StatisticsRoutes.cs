using System.Text.Json;
using InferenceBatch.Server.Batches;

namespace InferenceBatch.Server.Api;

/// <summary>The route for the statistics of a batch. It is not part of OpenAI's API; the page uses it.</summary>
internal sealed class StatisticsRoutes(Scheduler scheduler)
{
    public void Map(IEndpointRouteBuilder routes) => routes.MapMethods("/v1/batches/{id}/statistics", JsonResponses.ReadMethods, GetAsync);

    private Task GetAsync(HttpContext context)
    {
        string id = (string)context.Request.RouteValues["id"]!;
        if (scheduler.Find(id) is not { } batch || batch.Owner != ApiPipeline.OwnerOf(context))
        {
            throw ApiException.NotFound("batch", id);
        }

        string statistics = scheduler.FindStatistics(id);
        return JsonResponses.WriteJsonAsync(context, 200, json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "batch.statistics");
            json.WriteString("batch_id", batch.Id);
            using var document = JsonDocument.Parse(statistics);
            foreach (JsonProperty part in document.RootElement.EnumerateObject())
            {
                part.WriteTo(json);
            }

            json.WriteEndObject();
        });
    }
}
