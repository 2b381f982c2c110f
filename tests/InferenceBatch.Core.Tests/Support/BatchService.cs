using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;

namespace InferenceBatch.Support;

/// <summary>
/// A batch service on a <see cref="FaultServer"/> that keeps what it was sent: files, batches, and how often each request
/// was answered. A batch ends when it is looked at; one that completes has answered its requests.
/// </summary>
internal sealed class BatchService : IDisposable
{
    private readonly Lock _calls = new();
    private readonly ConcurrentDictionary<string, int> _tries = new();

    public BatchService()
    {
        Server.On("POST /v1/files", Serve(Upload));
        Server.On("POST /v1/batches", Serve(Create));
        Server.On("GET /v1/batches", Serve(_ => Answer.Json(
            "{\"data\":[" + string.Join(',', Batches.Values.Where(batch => !batch.IsForgotten).Reverse().Select(batch => batch.Json)) + "],\"has_more\":false}")));
    }

    public FaultServer Server { get; } = new();

    /// <summary>The lines of each file that the service holds.</summary>
    public Dictionary<string, List<string>> Files { get; } = [];

    /// <summary>The batches in the order in which they were created.</summary>
    public Dictionary<string, ServedBatch> Batches { get; } = [];

    public int Uploads { get; private set; }

    public int Creates { get; private set; }

    /// <summary>How often each request got a good answer, which is billed.</summary>
    public ConcurrentDictionary<string, int> Billed { get; } = new();

    /// <summary>How many batches may be open at a time; one more fails with <c>token_limit_exceeded</c>.</summary>
    public int QueueSize { get; set; } = int.MaxValue;

    /// <summary>Asked before each call is carried out; an answer takes its place.</summary>
    public Func<Exchange, Behaviour?> OnCall { get; set; } = _ => null;

    /// <summary>Given the answer to a create that was carried out; may lose it.</summary>
    public Func<Behaviour, Behaviour> AfterCreate { get; set; } = answer => answer;

    /// <summary>The result line of a request by the number of its try; null for none.</summary>
    public Func<int, string, string?> AnswerOf { get; set; } = (_, id) => Good(id);

    /// <summary>The only batch that ends by itself; null for all.</summary>
    public string? EndOnly { get; set; }

    /// <summary>The error with which the first batch fails, as JSON; null for none.</summary>
    public string? FailFirst { get; set; }

    /// <summary>How a batch that is looked at ends.</summary>
    public string FinalStatus { get; set; } = "completed";

    public static string Good(string id) => Line(id, """{"status_code":200,"body":{"choices":[{"message":{"content":"ID"}}]}}""", "null");

    public static string Failed(string id, int status, string code = "c") =>
        Line(id, "{\"status_code\":" + status + ",\"body\":{\"error\":{\"message\":\"m\",\"code\":\"" + code + "\"}}}", "null");

    public static string Errored(string id, string code) => Line(id, "null", $$"""{"code":"{{code}}","message":"m"}""");

    public static Behaviour Error(int status, string code, string message = "m", params string[] headers) =>
        Answer.Json("{\"error\":{\"code\":\"" + code + "\",\"message\":\"" + message + "\"}}", status, headers);

    /// <summary>Ends the batches that are open, as if time had passed.</summary>
    public void EndAll(string status)
    {
        foreach (ServedBatch batch in Batches.Values.Where(batch => batch.IsOpen))
        {
            End(batch, status);
        }
    }

    public void Dispose() => Server.Dispose();

    private static string Line(string id, string response, string error) =>
        ("{\"id\":\"x\",\"custom_id\":\"ID\",\"response\":" + response + ",\"error\":" + error + "}\n").Replace("ID", id, StringComparison.Ordinal);

    private Behaviour Serve(Func<Exchange, Behaviour> serve) => Answer.Choose(exchange =>
    {
        lock (_calls)
        {
            return OnCall(exchange) ?? serve(exchange);
        }
    });

    private Behaviour Upload(Exchange exchange)
    {
        string id = $"file-{++Uploads}";
        Files[id] = [.. exchange.BodyText.Split('\n').Where(line => line.StartsWith("{\"custom_id\"", StringComparison.Ordinal))
                .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("custom_id").GetString()!)];
        return Answer.Json($$"""{"id":"{{id}}"}""");
    }

    private Behaviour Create(Exchange exchange)
    {
        string fileId = JsonDocument.Parse(exchange.BodyText).RootElement.GetProperty("input_file_id").GetString()!;
        if (!Files.TryGetValue(fileId, out List<string>? ids))
        {
            return Error(400, "file_not_found", $"No file found with id '{fileId}'.");
        }

        var batch = new ServedBatch($"batch-{++Creates}", fileId, ids, Batches.Values.Count(other => other.IsOpen) >= QueueSize);
        Batches[batch.Id] = batch;
        Server.On($"GET /v1/batches/{batch.Id}", Serve(_ => Look(batch)));
        Server.On($"POST /v1/batches/{batch.Id}/cancel", Serve(_ => Cancel(batch)));
        Server.On($"GET /v1/files/out-{batch.Id}/content", Serve(_ => Answer.Whole(200, "text/plain", Encoding.UTF8.GetBytes(batch.Output.ToString()))));
        return AfterCreate(Answer.Json(batch.Json));
    }

    private Behaviour Look(ServedBatch batch)
    {
        if (batch.IsForgotten)
        {
            return Error(404, "not_found", "No such batch.");
        }

        if (FailFirst is not null && batch.Id == "batch-1")
        {
            return Answer.Json("{\"id\":\"batch-1\",\"status\":\"failed\",\"errors\":{\"data\":[" + FailFirst + "]}}");
        }

        if (batch.IsOpen && FinalStatus != "in_progress" && (EndOnly is null || batch.Id == EndOnly))
        {
            End(batch, FinalStatus);
        }

        return Answer.Json(batch.Json);
    }

    private void End(ServedBatch batch, string status)
    {
        batch.End(status);
        foreach (string id in batch.Requests)
        {
            string? line = status switch
            {
                "completed" => AnswerOf(_tries.AddOrUpdate(id, 1, (_, tries) => tries + 1), id),
                "expired" => Errored(id, "batch_expired"),
                _ => null,
            };
            batch.Output.Append(line);
            if (line?.Contains("\"status_code\":200,", StringComparison.Ordinal) == true)
            {
                Billed.AddOrUpdate(id, 1, (_, times) => times + 1);
            }
        }
    }

    private Behaviour Cancel(ServedBatch batch)
    {
        if (!batch.IsOpen)
        {
            return Error(409, "conflict", "It has ended.");
        }

        End(batch, "cancelled");
        return Answer.Json(batch.Json);
    }
}

/// <summary>A batch of a <see cref="BatchService"/>.</summary>
internal sealed class ServedBatch(string id, string fileId, IReadOnlyList<string> requests, bool isRefused)
{
    private string _status = isRefused ? "failed" : "in_progress";

    public string Id => id;

    public string FileId => fileId;

    public IReadOnlyList<string> Requests => requests;

    /// <summary>Whether the queue was full.</summary>
    public bool IsRefused => isRefused;

    public bool IsOpen => _status == "in_progress";

    /// <summary>Whether the service has lost it.</summary>
    public bool IsForgotten { get; set; }

    public StringBuilder Output { get; } = new();

    public string Json => "{\"id\":\"" + id + "\",\"input_file_id\":\"" + fileId + "\",\"status\":\"" + _status + "\""
        + (isRefused ? ",\"errors\":{\"data\":[{\"code\":\"token_limit_exceeded\",\"message\":\"Enqueued token limit reached for m.\"}]}"
            : IsOpen ? "" : ",\"output_file_id\":\"out-" + id + "\"") + "}";

    public void End(string status) => _status = status;
}
