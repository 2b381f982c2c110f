namespace InferenceBatch.Lines;

/// <summary>What a service asks of a batch file. The defaults are those of OpenAI's documents.</summary>
public sealed record ValidationRules
{
    /// <summary>The endpoints the Batch API of OpenAI's documents serves that answer with text or vectors.</summary>
    public static IReadOnlyList<string> KnownEndpoints { get; } =
    [
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/moderations",
    ];

    /// <summary>
    /// What the local service asks for. The bounds on a line and on names are its own: it holds every line that is in
    /// flight in memory, and repeats names in what it answers.
    /// </summary>
    public static ValidationRules LocalService { get; } = new() { MaxLineBytes = 16 * 1024 * 1024, MaxNameLength = 512 };

    /// <summary>The endpoint every line must name; null to take that of the first line.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The endpoints the service has for batches.</summary>
    public IReadOnlyList<string> Endpoints { get; init; } = KnownEndpoints;

    /// <summary>Requests in one file, at most.</summary>
    public int MaxRequests { get; init; } = 50_000;

    /// <summary>Bytes in one file, at most (200 MB is 209,715,200).</summary>
    public long MaxBytes { get; init; } = 200L * 1024 * 1024;

    /// <summary>Bytes in one line, at most. Services say nothing of it; without a bound it is <see cref="LineReader"/>'s gigabyte.</summary>
    public int MaxLineBytes { get; init; } = LineReader.LongestLine;

    /// <summary>Characters in a <c>custom_id</c> or a model's name, at most; services say nothing of it.</summary>
    public int MaxNameLength { get; init; } = int.MaxValue;

    /// <summary>Whether a line may go without <c>url</c> (a remark, not an error).</summary>
    public bool UrlIsOptional { get; init; }

    /// <summary>Whether a line may go without <c>method</c>; it is POST then.</summary>
    public bool MethodIsOptional { get; init; }

    /// <summary>Whether a byte order mark is an error where true, else a remark.</summary>
    public bool RefusesByteOrderMark { get; init; }

    /// <summary>Whether all lines must name one model (an error where true, else a warning).</summary>
    public bool OneModelOnly { get; init; }

    /// <summary>
    /// How many issues of single lines are listed; one more entry says how many were left out. What there is to say of
    /// the whole file (at most seven entries) comes beside them.
    /// </summary>
    public int MaxIssues { get; init; } = 1_000;
}
