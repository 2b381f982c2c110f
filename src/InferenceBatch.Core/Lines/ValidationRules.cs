namespace InferenceBatch.Lines;

/// <summary>The requirements of a service for a batch file. The defaults are those of OpenAI's documentation.</summary>
public sealed record ValidationRules
{
    /// <summary>The endpoints of OpenAI's Batch API documentation that return text or vectors.</summary>
    public static IReadOnlyList<string> KnownEndpoints { get; } =
    [
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/moderations",
    ];

    /// <summary>Returns the known endpoint with this path, with or without <c>/v1</c>, which Azure OpenAI omits; null if there is none.</summary>
    public static string? FindEndpoint(string path) =>
        KnownEndpoints.FirstOrDefault(endpoint => endpoint == path || endpoint["/v1".Length..] == path);

    /// <summary>
    /// The requirements of the local service. It has limits of its own for lines and names, because it keeps every line in
    /// flight in memory and repeats names in its responses.
    /// </summary>
    public static ValidationRules LocalService { get; } = new() { MaxLineBytes = 16 * 1024 * 1024, MaxNameLength = 512, ChecksBodies = false };

    /// <summary>The endpoint that every line must have; null for that of the first line.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The endpoints that the service supports in batches.</summary>
    public IReadOnlyList<string> Endpoints { get; init; } = KnownEndpoints;

    /// <summary>The maximum number of requests in a file.</summary>
    public int MaxRequests { get; init; } = 50_000;

    /// <summary>The maximum size of a file in bytes (200 MB is 209,715,200).</summary>
    public long MaxBytes { get; init; } = 200L * 1024 * 1024;

    /// <summary>The maximum length of a line in bytes. Services do not document a limit; the default is the gigabyte of <see cref="LineReader"/>.</summary>
    public int MaxLineBytes { get; init; } = LineReader.MaxLineLength;

    /// <summary>The maximum number of characters of a <c>custom_id</c> or a model name. Services do not document a limit.</summary>
    public int MaxNameLength { get; init; } = int.MaxValue;

    /// <summary>Whether a line without <c>url</c> is a remark instead of an error.</summary>
    public bool UrlIsOptional { get; init; }

    /// <summary>Whether a line may omit <c>method</c>. The default is then POST.</summary>
    public bool MethodIsOptional { get; init; }

    /// <summary>
    /// Whether bodies are checked for what every service of their endpoint requires. The local service does not: as with
    /// hosted services, an invalid body fails only its own request.
    /// </summary>
    public bool ChecksBodies { get; init; } = true;

    /// <summary>Whether a byte order mark is an error instead of a remark.</summary>
    public bool RefusesByteOrderMark { get; init; }

    /// <summary>Whether a second model in a file is an error instead of a warning.</summary>
    public bool OneModelOnly { get; init; }

    /// <summary>
    /// The maximum number of listed issues of single lines. One more entry has the number of omitted ones. Issues of the
    /// whole file (seven entries at most) are listed in addition.
    /// </summary>
    public int MaxIssues { get; init; } = 1_000;
}
