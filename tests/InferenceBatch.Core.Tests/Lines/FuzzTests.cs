using System.Text;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Support;
using InferenceBatch.Wire;
using Xunit.Abstractions;

namespace InferenceBatch.Lines;

/// <summary>
/// Compares the parser and the validator with System.Text.Json for mutated lines: there must be no unhandled exception, and
/// no invalid line may count as valid. INFERENCE_BATCH_TEST_ROUNDS increases the number of rounds.
/// </summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    private static readonly UTF8Encoding s_strictUtf8 = new(false, throwOnInvalidBytes: true);

    private static readonly string[] s_lines =
    [
        """{"custom_id":"request-1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"Grüße 😀 \ud83d\ude00 \n"}],"max_tokens":1000}}""",
        """{"custom_id":"r\u00e4\"2","method":"POST","url":"\/v1\/embeddings","body":{"model":"m","input":["a",null,true,-1.5e3],"stream":false}}""",
        """ { "body" : { "model" : "x" , "stream" : true } , "url" : "/chat/completions" , "method" : "POST" , "custom_id" : "3" } """,
    ];

    private static readonly string[] s_answers =
    [
        """{"id":"r","custom_id":"a","response":{"status_code":200,"request_id":"q","body":{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi \ud83d"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}},"error":null}""",
        """{"custom_id":"a","error":{"code":"c","message":"m"},"response":{"body":{"error":{"message":"n"},"message":"o","output":[{"content":[{"type":"output_text","text":"t"}]}],"status":"failed"},"status_code":400}}""",
        """{"custom_id":"a","response":{"status_code":500,"body":"{\"error\":{\"message\":\"m\"}}"}}""",
        """{"id":"b","status":"failed","errors":{"object":"list","data":[{"code":"c","message":"m","param":null,"line":4}]},"created_at":1714508499,"request_counts":{"total":2,"completed":0,"failed":0},"metadata":{"k":"v"},"usage":{"input_tokens":1}}""",
        """{"object":"list","data":[{"id":"a","status":"completed"},{"id":"b","created_at":"2025-01-15T10:30:00Z"}],"has_more":true}""",
    ];

    private static readonly byte[][] s_pieces =
    [
        .. new[]
        {
            "\"", "\\", "{", "}", "[", "]", ",", ":", "\0", "\ufeff", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\u0000", "\\u12", "1e999", "-", "0123",
            "null", "true", "\"custom_id\":\"a\",", "\"custom_id\":null,", "\"\\ud800\":1,", "\"body\":{},", "\"model\":\"\\udfff\",", "\"stream\":true,",
            "/*x*/", "NaN", " ", "\t", "\r", "😀", "\u2028", "999999999999999999999999999999",
        }.Select(Encoding.UTF8.GetBytes),
        [0xFF], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF0, 0x9F, 0x98],
    ];

    [Fact]
    public void A_mutated_line_is_parsed_like_System_Text_Json_parses_it()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(A_mutated_line_is_parsed_like_System_Text_Json_parses_it));
        int valid = 0;
        const int Rounds = 20_000;
        for (int round = 0; round < Rounds * Seed.Rounds; round++)
        {
            byte[] line = Mutated(random);
            LineProblem expected = Classify(line, out JsonElement root);
            bool parsed = RequestLine.Parse(line, out RequestLine request, out LineProblem problem);
            Check(expected == problem && parsed == (expected == LineProblem.None), line, $"expected {expected}, but got {problem}");
            if (parsed)
            {
                valid++;
                Check(StringOf(root, "custom_id") == Encoding.UTF8.GetString(request.CustomId), line, "custom_id");
                Check(StringOf(root, "url") == Encoding.UTF8.GetString(request.Url), line, "url");
                Check(StringOf(root, "method") == "POST" == request.IsPost, line, "method");
                JsonElement body = root.TryGetProperty("body", out JsonElement found) && found.ValueKind == JsonValueKind.Object ? found : default;
                Check((body.ValueKind == JsonValueKind.Object ? body.GetRawText() : "") == Encoding.UTF8.GetString(request.Body), line, "body");
                Check(StringOf(body, "model") == Encoding.UTF8.GetString(request.Model), line, "model");
            }
        }

        // Otherwise the mutations break almost all lines or almost none, and test nothing.
        Assert.InRange(valid, Rounds / 20, Rounds * Seed.Rounds * 19L / 20);
    }

    [Fact]
    public void A_file_of_mutated_lines_has_an_error_for_each_invalid_line()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(A_file_of_mutated_lines_has_an_error_for_each_invalid_line));
        for (int round = 0; round < 150 * Seed.Rounds; round++)
        {
            List<byte[]> lines = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => Mutated(random).Where(b => b != (byte)'\n').ToArray())];
            byte[] file = [.. lines.SelectMany(line => (byte[])[.. line, (byte)'\n'])];
            var good = new List<int>();
            BatchFileReport report = new FileValidator(new ValidationRules { MaxIssues = int.MaxValue, ChecksBodies = false }, span => good.Add(span.Line))
                .Validate(new ChunkedStream(file, random, 5_000), null);
            if (FileValidator.LooksLikeUtf16(file))
            {
                continue; // There is one issue for the whole file.
            }

            HashSet<int> refused = [.. report.Issues.Where(issue => issue.Severity == IssueSeverity.Error).Select(issue => issue.Line ?? 0)];
            Assert.Equal(refused.Count == 0, report.IsValid);
            for (int i = 0; i < lines.Count; i++)
            {
                byte[] line = i == 0 && lines[i].AsSpan().StartsWith("\ufeff"u8) ? lines[i][3..] : lines[i];
                bool blank = line.All(b => b is (byte)' ' or (byte)'\t' or (byte)'\r');
                Check(blank || good.Contains(i + 1) != refused.Contains(i + 1), line, "both valid and refused, or neither");
                Check(blank || refused.Contains(i + 1) || Classify(line, out _) == LineProblem.None, line, "taken for valid");
            }
        }
    }

    /// <summary>Files of valid and invalid fields have the errors of a simple implementation of the rules, and no others.</summary>
    [Fact]
    public void A_file_of_generated_lines_has_the_errors_that_a_simple_validator_finds()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(A_file_of_generated_lines_has_the_errors_that_a_simple_validator_finds));
        var rules = new ValidationRules { Endpoint = "/v1/chat/completions", MaxIssues = int.MaxValue, MaxLineBytes = 400, MaxNameLength = 12, ChecksBodies = false };
        int errors = 0;
        for (int round = 0; round < 1_000 * Seed.Rounds; round++)
        {
            List<string> lines = [.. Enumerable.Range(0, random.Next(1, 12)).Select(_ => GeneratedLine(random))];
            byte[] file = Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n")));
            List<(int, string, string?)> expected = ValidateSimply(lines, rules);
            BatchFileReport report = new FileValidator(rules).Validate(new ChunkedStream(file, random, 500), null);
            IEnumerable<(int, string, string?)> found = report.Issues.Where(issue => issue.Severity == IssueSeverity.Error)
                .Select(issue => (issue.Line ?? 0, issue.Code, issue.Param));
            errors += expected.Count;
            Check(expected.Order().SequenceEqual(found.Order()), file, $"expected {string.Join(' ', expected)}\nfound {string.Join(' ', found)}");
        }

        Assert.InRange(errors, 1_000, int.MaxValue);
    }

    private static string GeneratedLine(Random random)
    {
        string Choose(params string[] values) => values[random.Next(3) > 0 ? 0 : random.Next(values.Length)];
        string id = Choose($"\"{random.Next(40)}\"", "null", "7", "\"\"", "\"😀😀😀😀😀😀😀😀😀😀😀😀\"", "\"1234567890123\"", "\"\\u0031\"", "[\"a\"]", "\"\\ud800\"");
        string model = Choose("\"m\"", "null", "\"\"", "3", "\"another-model\"", "\"twelve-chars\"", "{}");
        string stream = Choose("", ",\"stream\":true", ",\"stream\":false", ",\"stream\":\"true\"", ",\"x\":{\"stream\":true}");
        string body = Choose($$"""{"model":{{model}}{{stream}}}""", "null", "[]", "\"{}\"", $$"""{"messages":[]{{stream}}}""", $$"""{"model":"m","x":"{{new string('y', 400)}}"}""");
        List<string> fields =
        [
            "\"custom_id\":" + id,
            "\"method\":" + Choose("\"POST\"", "\"GET\"", "null", "true", "\"\""),
            "\"url\":" + Choose("\"/v1/chat/completions\"", "\"/chat/completions\"", "\"/v1/embeddings\"", "\"/v1/moderations\"", "null", "1", "\"\""),
            "\"body\":" + body,
        ];
        if (random.Next(6) == 0)
        {
            fields.RemoveAt(random.Next(fields.Count));
        }

        if (random.Next(6) == 0)
        {
            fields.Add(fields[random.Next(fields.Count)]);
        }

        string line = $"{{{string.Join(',', fields.OrderBy(_ => random.Next()))}}}";
        return random.Next(12) switch { 0 => line[..random.Next(line.Length)], 1 => "[]", 2 => "  ", _ => line };
    }

    /// <summary>A second, simple implementation of the rules of the API documentation, based on JsonDocument.</summary>
    private static List<(int, string, string?)> ValidateSimply(List<string> lines, ValidationRules rules)
    {
        var errors = new List<(int, string, string?)>();
        var ids = new HashSet<string>();
        for (int i = 0; i < lines.Count; i++)
        {
            int number = i + 1;
            byte[] line = Encoding.UTF8.GetBytes(lines[i]);
            if (line.Length > rules.MaxLineBytes)
            {
                errors.Add((number, "line_too_long", null));
                continue;
            }

            if (string.IsNullOrWhiteSpace(lines[i]))
            {
                continue;
            }

            LineProblem problem = Classify(line, out JsonElement root);
            if (problem != LineProblem.None)
            {
                errors.Add((number, problem is LineProblem.InvalidUtf8 or LineProblem.LoneSurrogate ? "invalid_encoding" : "invalid_json_line", null));
                continue;
            }

            JsonElement Field(JsonElement from, string name) => from.ValueKind == JsonValueKind.Object && from.TryGetProperty(name, out JsonElement value) ? value : default;
            void Require(JsonElement value, string name, bool fits)
            {
                if (!fits)
                {
                    errors.Add((number, value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? "missing_required_parameter" : "invalid_request", name));
                }
                else if (name is "custom_id" or "body.model" && value.GetString()!.EnumerateRunes().Count() > rules.MaxNameLength)
                {
                    errors.Add((number, "string_above_max_length", name));
                }
            }

            JsonElement id = Field(root, "custom_id");
            Require(id, "custom_id", id.ValueKind == JsonValueKind.String && id.GetString() != "");
            JsonElement method = Field(root, "method");
            Require(method, "method", method.ValueKind == JsonValueKind.String && method.GetString() == "POST");
            JsonElement body = Field(root, "body");
            Require(body, "body", body.ValueKind == JsonValueKind.Object);
            if (Field(body, "stream").ValueKind == JsonValueKind.True)
            {
                errors.Add((number, "streaming_unsupported", "body.stream"));
            }

            JsonElement url = Field(root, "url");
            Require(url, "url", url.ValueKind == JsonValueKind.String);
            if (url.ValueKind == JsonValueKind.String && url.GetString() is not ("/v1/chat/completions" or "/chat/completions"))
            {
                errors.Add((number, "invalid_url", "url"));
            }

            JsonElement model = Field(body, "model");
            bool isNamed = model.ValueKind == JsonValueKind.String && model.GetString() != "";
            if (body.ValueKind == JsonValueKind.Object && (isNamed || url.ValueKind != JsonValueKind.String || !url.GetString()!.EndsWith("/moderations", StringComparison.Ordinal)))
            {
                Require(model, "body.model", isNamed);
            }

            if (id.ValueKind == JsonValueKind.String && id.GetString() is { Length: > 0 } text && !ids.Add(text))
            {
                errors.Add((number, "duplicate_custom_id", "custom_id"));
            }
        }

        if (errors.Count == 0 && lines.TrueForAll(string.IsNullOrWhiteSpace))
        {
            errors.Add((0, "empty_file", null));
        }

        return errors;
    }

    [Fact]
    public void Lines_of_a_megabyte_are_parsed_like_System_Text_Json_parses_them()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(Lines_of_a_megabyte_are_parsed_like_System_Text_Json_parses_them));
        for (int round = 0; round < 12 * Seed.Rounds; round++)
        {
            string filler = string.Concat(Enumerable.Repeat(round % 2 == 0 ? "text \\\" " : "😀\\ud83d\\ude00", (1 << 20) / 8));
            byte[] line = Encoding.UTF8.GetBytes(s_lines[0].Replace("Grüße", filler, StringComparison.Ordinal));
            if (round % 3 != 0)
            {
                line[random.Next(line.Length)] = (byte)random.Next(256);
            }

            LineProblem expected = Classify(line, out _);
            RequestLine.Parse(line, out _, out LineProblem problem);
            Assert.Equal(expected, problem);
        }
    }

    [Fact]
    public void Random_bytes_never_cause_an_exception()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(Random_bytes_never_cause_an_exception));
        for (int round = 0; round < 500 * Seed.Rounds; round++)
        {
            byte[] file = new byte[random.Next(5_000)];
            random.NextBytes(file);
            BatchFileReport report = new FileValidator(new ValidationRules()).Validate(new MemoryStream(file), null);
            Assert.False(report.IsValid);
        }
    }

    [Fact]
    public void Mutated_results_and_responses_are_read_or_are_a_JsonException()
    {
        output.WriteLine(Seed.Hint);
        Random random = Seed.For(nameof(Mutated_results_and_responses_are_read_or_are_a_JsonException));
        for (int round = 0; round < 15_000 * Seed.Rounds; round++)
        {
            byte[] line = Mutated(random, s_answers);
            bool isObject = Classify(line, out _) is LineProblem.None or LineProblem.LoneSurrogate;
            Check(Reads(line, bytes => ResultLineReader.Read(bytes)) || !isObject || HasBrokenName(line), line, "a result that is JSON was refused");
            Reads(line, bytes => BatchReader.Read(bytes));
            Reads(line, bytes => BatchFileReader.Read(bytes));
            Reads(line, bytes => Page<Batch>.Read(bytes, BatchReader.Read));
            ErrorReader.ReadBody(line);
        }

        static bool Reads(byte[] line, Action<byte[]> read)
        {
            try
            {
                read(line);
                return true;
            }
            catch (JsonException)
            {
                return false;
            }
        }
    }

    /// <summary>The problem of a line according to System.Text.Json and a strict UTF-8 decoder.</summary>
    private static LineProblem Classify(byte[] line, out JsonElement root)
    {
        root = default;
        try
        {
            s_strictUtf8.GetCharCount(line);
            using var document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = RequestLine.MaxDepth });
            root = document.RootElement.Clone();
        }
        catch (DecoderFallbackException)
        {
            return LineProblem.InvalidUtf8;
        }
        catch (JsonException)
        {
            return LineProblem.InvalidJson;
        }

        return root.ValueKind != JsonValueKind.Object ? LineProblem.NotAnObject
            : ContainsHalfPair(root) ? LineProblem.LoneSurrogate : LineProblem.None;
    }

    private static bool ContainsHalfPair(JsonElement element)
    {
        try
        {
            return element.ValueKind switch
            {
                JsonValueKind.String => element.GetString() is null,
                JsonValueKind.Array => element.EnumerateArray().Any(ContainsHalfPair),
                JsonValueKind.Object => element.EnumerateObject().Any(property => property.Name is null || ContainsHalfPair(property.Value)),
                _ => false,
            };
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    }

    private static string StringOf(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()! : "";

    /// <summary>Whether a line may have half a surrogate pair in a name, which the readers reject.</summary>
    private static bool HasBrokenName(byte[] line) => Encoding.UTF8.GetString(line).Contains("\\ud", StringComparison.OrdinalIgnoreCase);

    private static byte[] Mutated(Random random, string[]? from = null)
    {
        from ??= s_lines;
        List<byte> line = [.. Encoding.UTF8.GetBytes(from[random.Next(from.Length)])];
        for (int changes = random.Next(4); changes > 0; changes--)
        {
            int at = random.Next(line.Count + 1);
            switch (random.Next(7))
            {
                case 0:
                    line.RemoveRange(at, Math.Min(random.Next(4), line.Count - at));
                    break;
                case 1:
                    line.Insert(at, (byte)random.Next(256));
                    break;
                case 2:
                    line.InsertRange(at, s_pieces[random.Next(s_pieces.Length)]);
                    break;
                case 3: // Before a name, where another member is valid.
                    at = line.IndexOf((byte)'{', Math.Min(at, line.Count - 1));
                    line.InsertRange(at + 1, s_pieces[random.Next(s_pieces.Length)]);
                    break;
                case 4: // A deeply nested value.
                    int depth = random.Next(4) == 0 ? random.Next(2_000) : random.Next(RequestLine.MaxDepth - 4, RequestLine.MaxDepth + 2);
                    byte[] deep = [.. "\"deep\":"u8, .. Enumerable.Repeat((byte)'[', depth), .. Enumerable.Repeat((byte)']', depth), (byte)','];
                    line.InsertRange(line.IndexOf((byte)'{') + 1, deep);
                    break;
                case 5:
                    line.RemoveRange(at, line.Count - at);
                    break;
                default: // Repeats a part of the line.
                    int length = Math.Min(random.Next(40), line.Count - at);
                    line.InsertRange(random.Next(line.Count + 1), line.GetRange(at, length));
                    break;
            }

            if (line.Count == 0)
            {
                line.Add((byte)' ');
            }
        }

        return [.. line];
    }

    private static void Check(bool isRight, byte[] line, string what)
    {
        if (!isRight)
        {
            Assert.Fail($"{Seed.Hint}\n{what}: {Encoding.UTF8.GetString(line)}\n{Convert.ToBase64String(line)}");
        }
    }
}
