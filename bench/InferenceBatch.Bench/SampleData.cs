using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace InferenceBatch.Bench;

/// <summary>
/// Creates the input files. The same seed gives the same bytes on every machine: prose in several scripts with quotes, line breaks and
/// emoji, like support tickets.
/// </summary>
internal static class SampleData
{
    public const string Model = "meta-llama/llama-3.1-8b-instruct/fp-8";
    public const string SystemPrompt = "You sort support tickets. Answer with one word: billing, bug, question or other.";

    private const int Seed = 20260101;

    private static readonly JsonWriterOptions s_plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private static readonly string[] s_words =
        ("the of to and in is it you that was for on are with as his they be at one have this from or had by hot word but what some we can out "
        + "other were all there when up use your how said an each she which do their time if will way about many then them write would like so "
        + "these her long make thing see him two has look more day could go come did number sound no most people invoice refund login password "
        + "für Straße größer café déjà señor заказ счёт оплата 请求 退款 メール ログイン 🙂 🚀 \"quoted\" C:\\temp\\log.txt 12:30 €49.90").Split(' ');

    /// <summary>Writes request lines of about the given size.</summary>
    public static void WriteRequests(string path, int count, int bytesPerLine)
    {
        var random = new Random(Seed);
        WriteLines(path, Enumerable.Range(1, count), (json, number) =>
        {
            json.WriteString("custom_id", $"request-{number}");
            json.WriteString("method", "POST");
            json.WriteString("url", "/v1/chat/completions");
            json.WriteStartObject("body");
            json.WriteString("model", Model);
            json.WriteStartArray("messages");
            WriteMessage(json, "system", SystemPrompt);
            WriteMessage(json, "user", Prose(random, Math.Max(20, bytesPerLine - 330)));
            json.WriteEndArray();
            json.WriteNumber("max_tokens", 200);
            json.WriteEndObject();
        });
    }

    /// <summary>Writes the output and error files of a batch with <c>request-1</c> to <c>request-COUNT</c>, in random order. One in a hundred failed.</summary>
    public static void WriteResults(string outputPath, string errorPath, int count)
    {
        var random = new Random(Seed + 1);
        int[] numbers = [.. Enumerable.Range(1, count)];
        random.Shuffle(numbers);
        WriteLines(outputPath, numbers.Where(number => number % 100 != 0), (json, number) =>
        {
            WriteResultStart(json, number, 200);
            json.WriteString("id", $"chatcmpl-{number:x24}");
            json.WriteString("object", "chat.completion");
            json.WriteNumber("created", 1_770_000_000 + number);
            json.WriteString("model", Model);
            json.WriteStartArray("choices");
            json.WriteStartObject();
            json.WriteNumber("index", 0);
            json.WritePropertyName("message");
            WriteMessage(json, "assistant", Prose(random, 200));
            json.WriteNull("logprobs");
            json.WriteString("finish_reason", "stop");
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteStartObject("usage");
            json.WriteNumber("prompt_tokens", 100 + (number % 50));
            json.WriteNumber("completion_tokens", number % 40);
            json.WriteNumber("total_tokens", 100 + (number % 50) + (number % 40));
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteNull("error");
        });
        WriteLines(errorPath, numbers.Where(number => number % 100 == 0), (json, number) =>
        {
            WriteResultStart(json, number, 400);
            json.WriteStartObject("error");
            json.WriteString("message", "The prompt is too long.");
            json.WriteString("code", "context_length_exceeded");
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteNull("error");
        });
    }

    /// <summary>Writes support tickets as CSV.</summary>
    public static void WriteTickets(string path, int count)
    {
        var random = new Random(Seed + 2);
        using var writer = new StreamWriter(path);
        writer.Write("Id,Customer,Subject,Body\n");
        for (int number = 1; number <= count; number++)
        {
            string subject = Prose(random, 30).Replace('\n', ' ').Replace("\"", "\"\"", StringComparison.Ordinal);
            string body = Prose(random, 100 + random.Next(500)).Replace("\"", "\"\"", StringComparison.Ordinal);
            writer.Write($"ticket-{number},customer{number % 977},\"{subject}\",\"{body}\"\n");
        }
    }

    private static void WriteLines(string path, IEnumerable<int> numbers, Action<Utf8JsonWriter, int> writeFields)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 20);
        using var json = new Utf8JsonWriter(stream, s_plain);
        foreach (int number in numbers)
        {
            json.WriteStartObject();
            writeFields(json, number);
            json.WriteEndObject();
            json.Flush();
            json.Reset();
            stream.WriteByte((byte)'\n');
        }
    }

    private static void WriteResultStart(Utf8JsonWriter json, int number, int status)
    {
        json.WriteString("id", $"batch_req_bench_{number}");
        json.WriteString("custom_id", $"request-{number}");
        json.WriteStartObject("response");
        json.WriteNumber("status_code", status);
        json.WriteString("request_id", $"req_{number:x16}");
        json.WriteStartObject("body");
    }

    private static void WriteMessage(Utf8JsonWriter json, string role, string content)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", content);
        json.WriteEndObject();
    }

    private static string Prose(Random random, int bytes)
    {
        var text = new StringBuilder(bytes);
        int written = 0;
        while (written < bytes)
        {
            string word = s_words[random.Next(s_words.Length)];
            char after = random.Next(24) switch { 0 => '\n', 1 => ',', _ => ' ' };
            text.Append(word).Append(after);
            written += Encoding.UTF8.GetByteCount(word) + 1;
        }

        return text.ToString().TrimEnd();
    }
}
