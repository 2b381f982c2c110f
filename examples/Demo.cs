#:project ../src/InferenceBatch.Core
#:property PublishAot=false
#:property RestorePackagesWithLockFile=false

// The demo without PowerShell: sends every ticket of tickets.csv through `inference-batch run` and its echo model.
// Exit code 0 if each ticket has exactly one answer, with exactly the text of its prompt.

using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using InferenceBatch.Lines;
using InferenceBatch.Model;

string examples = (string)AppContext.GetData("EntryPointFileDirectoryPath")!;
string service = Path.Combine(examples, "..", "bin", "server", "inference-batch.dll");
DirectoryInfo work = Directory.CreateTempSubdirectory("inference-batch-demo-");
Console.OutputEncoding = new UTF8Encoding(false);
try
{
    List<Ticket> tickets = [.. Csv.Read(Path.Combine(examples, "tickets.csv")).Skip(1).Select(Ticket.FromRow)];
    string input = Path.Combine(work.FullName, "tickets.jsonl");
    string output = Path.Combine(work.FullName, "output.jsonl");
    string errors = Path.Combine(work.FullName, "errors.jsonl");
    using (var lines = new LineWriter(File.Create(input)))
    {
        tickets.ForEach(ticket => lines.Write(ticket.ToRequest()));
    }

    var clock = Stopwatch.StartNew();
    using Process run = Process.Start(
        Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
        [service, "run", input, "--output", output, "--errors", errors, "--upstream", "echo"]);
    run.WaitForExit();
    Console.WriteLine($"inference-batch run ended with exit code {run.ExitCode} after {clock.Elapsed.TotalSeconds:0.0} s.\n");

    ILookup<string, Answer> answers = Answer.Read(output).Concat(Answer.Read(errors)).ToLookup(answer => answer.CustomId);
    int differences = 0;
    foreach (Ticket ticket in tickets)
    {
        Answer[] own = [.. answers[ticket.Id]];
        string? problem = own switch
        {
            [] => "no answer",
            [{ Text: var text }] when text == ticket.Prompt => null,
            [{ Error: { } error }] => error,
            [_] => "the text differs from the prompt",
            _ => $"{own.Length} answers",
        };
        differences += problem is null ? 0 : 1;
        Console.WriteLine($"{ticket.Id}  {ticket.Language}  {ticket.Customer}: {problem ?? OnOneLine(own[0].Text!)}");
    }

    string[] unknown = [.. answers.Select(answer => answer.Key).Except(tickets.Select(ticket => ticket.Id))];
    Array.ForEach(unknown, id => Console.WriteLine($"{id}: an answer without a ticket"));
    differences += unknown.Length;

    Console.WriteLine($"\n{tickets.Count} tickets sent, {answers.Sum(answer => answer.Count())} answers, {differences} differences.");
    return tickets.Count > 0 && differences == 0 && run.ExitCode == 0 ? 0 : 1;
}
finally
{
    work.Delete(recursive: true);
}

static string OnOneLine(string text)
{
    var line = new StringInfo(string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
    return line.LengthInTextElements <= 90 ? line.String : line.SubstringByTextElements(0, 89) + "…";
}

/// <summary>A row of tickets.csv.</summary>
internal sealed record Ticket(string Id, string Customer, string Language, string Subject, string Body)
{
    private static readonly JsonSerializerOptions s_plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public string Prompt => $"Subject: {Subject}\n\n{Body}";

    public static Ticket FromRow(string[] row) => new(row[0], row[1], row[2], row[3], row[4]);

    public BatchRequest ToRequest() => new()
    {
        CustomId = Id,
        Url = "/v1/chat/completions",
        BodyUtf8 = JsonSerializer.SerializeToUtf8Bytes(
            new { model = "echo", messages = new[] { new { role = "user", content = Prompt } } }, s_plain),
    };
}

/// <summary>A line of an output or error file; <c>Text</c> is null if the request failed.</summary>
internal sealed record Answer(string CustomId, string? Text, string? Error)
{
    public static IEnumerable<Answer> Read(string path) =>
        (File.Exists(path) ? File.ReadLines(path) : []).Where(line => line.Length > 0).Select(FromLine);

    private static Answer FromLine(string line)
    {
        JsonNode json = JsonNode.Parse(line)!;
        JsonNode? response = json["response"];
        string? text = (int?)response?["status_code"] == 200 ? (string?)response["body"]?["choices"]?[0]?["message"]?["content"] : null;
        return new Answer((string)json["custom_id"]!, text, text is null ? line : null);
    }
}

/// <summary>Reads comma-separated rows as RFC 4180 defines them: quoted fields may contain commas, doubled quotes and line breaks.</summary>
internal static class Csv
{
    public static IEnumerable<string[]> Read(string path)
    {
        string text = File.ReadAllText(path);
        var row = new List<string>();
        var field = new StringBuilder();
        bool quoted = false;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (quoted && c == '"' && i + 1 < text.Length && text[i + 1] == '"')
            {
                field.Append('"');
                i++;
            }
            else if (c == '"')
            {
                quoted = !quoted;
            }
            else if (quoted || c is not (',' or '\n' or '\r'))
            {
                field.Append(c);
            }
            else if (c != '\r')
            {
                row.Add(field.ToString());
                field.Clear();
                if (c == '\n')
                {
                    yield return [.. row];
                    row.Clear();
                }
            }
        }
    }
}
