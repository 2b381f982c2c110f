using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>
/// Compares every response with docs/openapi.yaml, and its body with the schema that OpenAI publishes. A difference fails the
/// test that made the call.
/// </summary>
internal sealed class DocumentedHandler() : DelegatingHandler(new SocketsHttpHandler())
{
    private static readonly string[] s_telling = ["Accept-Ranges", "Allow", "Content-Range", "ETag", "Location", "Retry-After", "WWW-Authenticate"];

    private static readonly Dictionary<string, string> s_published = new()
    {
        ["File"] = "OpenAIFile",
        ["FileList"] = "ListFilesResponse",
        ["DeletedFile"] = "DeleteFileResponse",
        ["Batch"] = "Batch",
        ["BatchList"] = "ListBatchesResponse",
        ["ErrorResponse"] = "ErrorResponse",
    };

    /// <summary>The responses so far, as <c>GET /path 200</c>.</summary>
    public ConcurrentDictionary<string, bool> Seen { get; } = new();

    /// <summary>Returns the differences between a response and the document; empty if there are none.</summary>
    /// <param name="method">The method of the request.</param>
    /// <param name="path">The path of the request, without the query.</param>
    /// <param name="status">The status of the response.</param>
    /// <param name="headers">The headers of the response; names are case-insensitive.</param>
    /// <param name="body">The body of the response; null if it is not JSON.</param>
    public static IEnumerable<string> Problems(
        string method, string path, int status, IReadOnlyDictionary<string, string> headers, string? body)
    {
        if (path == "/" || path.StartsWith("/page/", StringComparison.Ordinal))
        {
            return []; // The page is not part of the API.
        }

        ApiDocument document = ApiDocument.OfService;
        (string route, JsonObject responses) = document.Find(method, path);
        if (responses[status.ToString(CultureInfo.InvariantCulture)] is not { } listed)
        {
            return [$"{route} does not list the status {status}."];
        }

        JsonNode response = document.Resolve(listed);
        IEnumerable<string> problems = HeaderProblems(document, response["headers"]?.AsObject() ?? [], headers);
        JsonObject contents = response["content"]?.AsObject() ?? [];
        string? type = headers.GetValueOrDefault("Content-Type")?.Split(';')[0];
        if (contents.Count == 0 ? type is not null : type is null || !contents.ContainsKey(type))
        {
            return problems.Append($"{route} {status} does not list the content type '{type}'.");
        }

        if (body is null || method == "HEAD")
        {
            return body is { Length: > 0 } ? problems.Append("An answer to HEAD has no body.") : problems;
        }

        JsonNode json = JsonNode.Parse(body)!;
        Shorten(json);
        JsonNode schema = contents[type!]!["schema"]!;
        return problems.Concat(document.Check(schema, JsonSerializer.SerializeToElement(json))).Concat(PublishedProblems(schema, json));
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response = await base.SendAsync(request, cancellationToken);
        string? body = null;
        if (response.Content.Headers.ContentType?.MediaType == "application/json")
        {
            await response.Content.LoadIntoBufferAsync(cancellationToken);
            body = await response.Content.ReadAsStringAsync(cancellationToken);
        }

        string path = request.RequestUri!.AbsolutePath;
        int status = (int)response.StatusCode;
        var headers = response.Headers.Concat(response.Content.Headers)
            .ToDictionary(header => header.Key, header => string.Join(", ", header.Value), StringComparer.OrdinalIgnoreCase);
        string[] problems = [.. Problems(request.Method.Method, path, status, headers, body)];
        Assert.True(problems.Length == 0, $"{request.Method} {request.RequestUri} {status}: {string.Join('\n', problems)}\n{body}");
        Seen[$"{ApiDocument.OfService.Find(request.Method.Method, path).Route} {status}"] = true;
        return response;
    }

    private static IEnumerable<string> HeaderProblems(ApiDocument document, JsonObject described, IReadOnlyDictionary<string, string> headers)
    {
        foreach ((string name, JsonNode? node) in described)
        {
            JsonNode header = document.Resolve(node!);
            if (!headers.TryGetValue(name, out string? value))
            {
                if (header["required"]?.GetValue<bool>() == true)
                {
                    yield return $"The header {name} is missing.";
                }

                continue;
            }

            foreach (string problem in document.Check(header["schema"]!, JsonSerializer.SerializeToElement(value)))
            {
                yield return $"The header {name}: '{value}' {problem}";
            }
        }

        foreach (string name in headers.Keys)
        {
            bool isTelling = name.StartsWith("X-", StringComparison.OrdinalIgnoreCase) || s_telling.Contains(name, StringComparer.OrdinalIgnoreCase);
            if (isTelling && !described.Any(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)))
            {
                yield return $"The header {name} is not described.";
            }
        }
    }

    private static IReadOnlyList<string> PublishedProblems(JsonNode schema, JsonNode json)
    {
        string? name = (schema["$ref"] ?? schema["allOf"]?[0]?["$ref"])?.GetValue<string>().Split('/')[^1];
        if (name is null || !s_published.TryGetValue(name, out string? published))
        {
            return [];
        }

        if (json["data"] is JsonArray { Count: 0 })
        {
            return []; // The published schema requires a first_id even in an empty list.
        }

        // The published examples have null for absent values, but the schema does not allow it.
        if (published != "ErrorResponse")
        {
            RemoveNulls(json);
        }

        return [.. ApiDocument.OfOpenAI.Check(published, JsonSerializer.SerializeToElement(json)).Select(problem => "published schema: " + problem)];
    }

    private static void RemoveNulls(JsonNode node)
    {
        if (node is JsonObject json)
        {
            foreach (string name in json.Where(field => field.Value is null).Select(field => field.Key).ToArray())
            {
                json.Remove(name);
            }
        }

        foreach (JsonNode inner in Inner(node))
        {
            RemoveNulls(inner);
        }
    }

    /// <summary>Keeps the first and last hundred items of a long list, because the comparison of each takes a while.</summary>
    private static void Shorten(JsonNode node)
    {
        if (node is JsonArray { Count: > 200 } items)
        {
            items.RemoveRange(100, items.Count - 200);
        }

        foreach (JsonNode inner in Inner(node))
        {
            Shorten(inner);
        }
    }

    private static IEnumerable<JsonNode> Inner(JsonNode node) =>
        (node is JsonObject fields ? fields.Select(field => field.Value) : node as JsonArray ?? []).OfType<JsonNode>();
}
