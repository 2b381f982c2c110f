using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Json.Schema;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>An OpenAPI document, and the comparison of responses with it.</summary>
internal sealed class ApiDocument
{
    private static readonly Lock s_compiling = new();

    private readonly ConcurrentDictionary<string, JsonSchema> _schemas = new();
    private readonly string _definitions;

    private ApiDocument(string file)
    {
        using StreamReader text = File.OpenText(Path.Combine(AppContext.BaseDirectory, file));
        var yaml = new YamlStream();
        yaml.Load(text);
        Root = ToJson(yaml.Documents[0].RootNode)!.AsObject();
        _definitions = Root["components"]!["schemas"]!.ToJsonString();
    }

    /// <summary>docs/openapi.yaml.</summary>
    public static ApiDocument OfService { get; } = new("openapi.yaml");

    /// <summary>The schemas that OpenAI publishes for the same objects.</summary>
    public static ApiDocument OfOpenAI { get; } = new("Support/openai-schemas.yaml");

    public JsonObject Root { get; }

    /// <summary>All documented routes and methods, as <c>GET /path</c>.</summary>
    public IEnumerable<string> Operations => Paths.SelectMany(path => path.Value!.AsObject()
        .Where(entry => entry.Key is not ("parameters" or "servers")).Select(entry => $"{entry.Key.ToUpperInvariant()} {path.Key}"));

    private JsonObject Paths => Root["paths"]!.AsObject();

    /// <summary>Returns the route of a request and its documented responses by status. For an unknown route or method, returns the responses that apply to it.</summary>
    public (string Route, JsonObject Responses) Find(string method, string path)
    {
        JsonObject common = Component("responses");
        var responses = new JsonObject
        {
            ["400"] = common["BadRequest"]!.DeepClone(),
            ["401"] = common["Unauthorized"]!.DeepClone(),
            ["403"] = common["Forbidden"]!.DeepClone(),
            ["414"] = common["UrlTooLong"]!.DeepClone(),
            ["431"] = common["HeadersTooLarge"]!.DeepClone(),
        };
        foreach ((string template, JsonNode? item) in Paths)
        {
            // The ID of a model may contain slashes.
            string parameters = template.Replace("{model}", ".*[^/]", StringComparison.Ordinal);
            string pattern = $"^{PrefixesOf(item!)}{Regex.Replace(parameters, @"\{\w+\}", "[^/]+")}$";
            if (!Regex.IsMatch(path, pattern))
            {
                continue;
            }

            if (item![method.ToLowerInvariant()] is { } operation)
            {
                return ($"{method} {template}", operation["responses"]!.AsObject());
            }

            responses["405"] = common["MethodNotAllowed"]!.DeepClone();
            if (method == "OPTIONS")
            {
                responses["204"] = common["Options"]!.DeepClone();
            }

            return ($"{method} {template}", responses);
        }

        responses["404"] = common["UnknownUrl"]!.DeepClone();
        return ("unknown", responses);
    }

    /// <summary>Returns a pattern for the paths of the servers of a route.</summary>
    private string PrefixesOf(JsonNode route)
    {
        IEnumerable<string> prefixes = (route["servers"] ?? Root["servers"])!.AsArray()
            .Select(server => new Uri(server!["url"]!.GetValue<string>()).AbsolutePath.TrimEnd('/'));
        return $"({string.Join('|', prefixes)})";
    }

    /// <summary>Returns a node, or the node that it refers to.</summary>
    public JsonNode Resolve(JsonNode node) => node["$ref"] is { } reference
        ? reference.GetValue<string>()[2..].Split('/').Aggregate((JsonNode)Root, (from, name) => from[name]
            ?? throw new KeyNotFoundException($"{reference} does not exist."))
        : node;

    /// <summary>Returns the differences between a value and a schema; empty if there are none.</summary>
    public IReadOnlyList<string> Check(JsonNode schema, JsonElement value)
    {
        JsonSchema compiled = _schemas.GetOrAdd(schema.ToJsonString(), text =>
        {
            JsonObject whole = JsonNode.Parse(text)!.AsObject();
            whole["$defs"] = JsonNode.Parse(_definitions);
            string json = whole.ToJsonString().Replace("#/components/schemas/", "#/$defs/", StringComparison.Ordinal);
            lock (s_compiling)
            {
                return JsonSchema.FromText(json); // This uses a registry that the whole process shares.
            }
        });
        if (compiled.Evaluate(value, new EvaluationOptions { OutputFormat = OutputFormat.Flag }).IsValid)
        {
            return [];
        }

        EvaluationResults results = compiled.Evaluate(value, new EvaluationOptions { OutputFormat = OutputFormat.List });
        return [.. (results.Details ?? []).Append(results).Where(detail => detail.Errors is not null)
            .SelectMany(detail => detail.Errors!.Select(error => $"{detail.InstanceLocation}: {error.Value}"))];
    }

    /// <summary>Returns the differences between a value and a schema of <c>components</c>.</summary>
    public IReadOnlyList<string> Check(string schema, JsonElement value) =>
        Check(new JsonObject { ["$ref"] = "#/components/schemas/" + schema }, value);

    public JsonObject Component(string kind) => Root["components"]![kind]!.AsObject();

    private static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Children.Select(pair => KeyValuePair.Create(((YamlScalarNode)pair.Key).Value!, ToJson(pair.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Children.Select(ToJson)]),
        YamlScalarNode { Style: ScalarStyle.Plain, Value: { } text } => text switch
        {
            "true" or "false" => JsonValue.Create(text == "true"),
            "null" => null,
            _ => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? JsonValue.Create(number) : JsonValue.Create(text),
        },
        YamlScalarNode { Value: var text } => JsonValue.Create(text),
        _ => throw new InvalidDataException($"What is {node}?"),
    };
}
