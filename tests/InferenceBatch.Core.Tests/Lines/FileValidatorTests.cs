using System.Globalization;
using System.Text;

namespace InferenceBatch.Lines;

public sealed class FileValidatorTests
{
    private const string Good = """{"custom_id":"ID","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user"}]}}""";

    [Fact]
    public void The_documented_line_is_valid()
    {
        BatchFileReport report = Check("""
            {"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "meta-llama/llama-3.2-1b-instruct/fp-8", "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 1000}}
            """);
        Assert.True(report.IsValid);
        Assert.Empty(report.Issues);
        Assert.Equal(1, report.RequestCount);
        Assert.Equal("/v1/chat/completions", report.Endpoint);
        Assert.Equal(["meta-llama/llama-3.2-1b-instruct/fp-8"], report.Models);
    }

    /// <summary>Replaces a field of a valid line. The codes are those of the API reference for validation.</summary>
    [Theory]
    [InlineData("\"custom_id\":\"ID\",", "", "missing_required_parameter", "custom_id")]
    [InlineData("\"ID\"", "null", "missing_required_parameter", "custom_id")]
    [InlineData("\"ID\"", "\"\"", "invalid_request", "custom_id")]
    [InlineData("\"ID\"", "17", "invalid_request", "custom_id")]
    [InlineData("\"ID\"", "{\"a\":[\"b\"]}", "invalid_request", "custom_id")]
    [InlineData("\"method\":\"POST\",", "", "missing_required_parameter", "method")]
    [InlineData("\"POST\"", "\"GET\"", "invalid_request", "method")]
    [InlineData("\"POST\"", "\"post\"", "invalid_request", "method")]
    [InlineData("\"POST\"", "[1]", "invalid_request", "method")]
    [InlineData("\"url\":\"/v1/chat/completions\",", "", "missing_required_parameter", "url")]
    [InlineData("\"/v1/chat/completions\"", "null", "missing_required_parameter", "url")]
    [InlineData("\"/v1/chat/completions\"", "\"\"", "invalid_url", "url")]
    [InlineData("\"/v1/chat/completions\"", "\"/v1/images\"", "invalid_url", "url")]
    [InlineData("\"/v1/chat/completions\"", "\"/v1/embeddings\"", "invalid_url", "url")]
    [InlineData("\"/v1/chat/completions\"", "\"https://api.inference.net/v1/chat/completions\"", "invalid_url", "url")]
    [InlineData("\"/v1/chat/completions\"", "\"/v1/chat/completions/\"", "invalid_url", "url")]
    [InlineData(",\"body\":{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "", "missing_required_parameter", "body")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "null", "missing_required_parameter", "body")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "\"{}\"", "invalid_request", "body")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "[{\"model\":\"m\"}]", "invalid_request", "body")]
    [InlineData("\"model\":\"m\",", "", "missing_required_parameter", "body.model")]
    [InlineData("\"m\"", "null", "missing_required_parameter", "body.model")]
    [InlineData("\"m\"", "\"\"", "invalid_request", "body.model")]
    [InlineData("\"m\"", "3", "invalid_request", "body.model")]
    [InlineData("\"messages\":[{\"role\":\"user\"}]", "\"stream\":true,\"messages\":[{\"role\":\"user\"}]", "streaming_unsupported", "body.stream")]
    [InlineData("{\"custom_id\"", "[{\"custom_id\"", "invalid_json_line", null)]
    [InlineData("\"POST\"", "\"POST", "invalid_json_line", null)]
    [InlineData("\"user\"", "\"\\ud83d\"", "invalid_encoding", null)]
    [InlineData("\"ID\"", "\"first\"", "duplicate_custom_id", "custom_id")]
    [InlineData("\"ID\"", "\"\\u0066irst\"", "duplicate_custom_id", "custom_id")]
    public void Each_mistake_has_its_code_line_and_field(string part, string mistake, string code, string? param)
    {
        string bad = Good.Replace(part, mistake, StringComparison.Ordinal);
        Assert.NotEqual(Good, bad);
        BatchFileReport report = Check(Line("first"), "", bad, Line("last"));
        LineIssue issue = Assert.Single(report.Issues, issue => issue.Severity == IssueSeverity.Error);
        Assert.Equal((3, code, param), (issue.Line, issue.Code, issue.Param));
        Assert.NotEmpty(issue.Message);
        Assert.False(report.IsValid);
        Assert.Equal(1, report.ErrorCount);
        Assert.Equal(3, report.RequestCount);
    }

    /// <summary>
    /// What every service of an endpoint refuses. <c>System.Collections.Hashtable</c> and <c>@{…}</c> are what ConvertTo-Json writes of an object
    /// below its -Depth (PowerShell 7.6).
    /// </summary>
    [Theory]
    [InlineData("chat/completions", "", "missing_required_parameter", "body.messages")]
    [InlineData("chat/completions", "\"messages\":null", "missing_required_parameter", "body.messages")]
    [InlineData("chat/completions", "\"messages\":[]", "invalid_request", "body.messages")]
    [InlineData("chat/completions", "\"messages\":{\"role\":\"user\",\"content\":\"c\"}", "invalid_request", "body.messages")]
    [InlineData("chat/completions", "\"messages\":\"Hello\"", "invalid_request", "body.messages")]
    [InlineData("chat/completions", "\"messages\":[\"Hello\"]", "invalid_request", "body.messages[0]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"},null]", "invalid_request", "body.messages[1]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"},{\"content\":\"c\"}]", "missing_required_parameter", "body.messages[1].role")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"\",\"content\":\"c\"}]", "missing_required_parameter", "body.messages[0].role")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":7}]", "missing_required_parameter", "body.messages[0].role")]
    [InlineData("chat/completions", "\"messages\":[\"System.Collections.Hashtable\"]", "truncated_json", "body.messages[0]")]
    [InlineData("chat/completions", "\"messages\":[\"@{role=user; content=c}\"]", "truncated_json", "body.messages[0]")]
    [InlineData("chat/completions", "\"messages\":\"System.Object[]\"", "truncated_json", "body.messages")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"},\"System.Collections.Specialized.OrderedDictionary\"]}]", "truncated_json", "body.messages[0].content[1]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"System.Collections.Hashtable System.Collections.Hashtable\"}]", "truncated_json", "body.messages[0].content")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[\"@{id=1}\"]}]", "truncated_json", "body.messages[0].tool_calls[0]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"}],\"tools\":[{\"type\":\"function\",\"function\":\"System.Collections.Hashtable\"}]", "truncated_json", "body.tools")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"}],\"tools\":[\"System.Collections.Hashtable\"]", "truncated_json", "body.tools")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"}],\"tools\":[{\"type\":\"function\"},{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":\"@{type=string}\"}}}}]", "truncated_json", "body.tools")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"}],\"response_format\":{\"json_schema\":{\"schema\":{\"properties\":\"@{a=}\"}}}", "truncated_json", "body.response_format")]
    [InlineData("embeddings", "", "missing_required_parameter", "body.input")]
    [InlineData("embeddings", "\"input\":[]", "invalid_request", "body.input")]
    [InlineData("embeddings", "\"input\":{\"text\":\"t\"}", "invalid_request", "body.input")]
    [InlineData("embeddings", "\"input\":true", "invalid_request", "body.input")]
    [InlineData("moderations", "\"input\":null", "missing_required_parameter", "body.input")]
    [InlineData("responses", "\"instructions\":\"i\"", "missing_required_parameter", "body.input")]
    [InlineData("responses", "\"input\":17", "invalid_request", "body.input")]
    [InlineData("responses", "\"input\":[\"System.Collections.Hashtable\"]", "truncated_json", "body.input[0]")]
    [InlineData("responses", "\"input\":\"i\",\"text\":{\"format\":\"System.Collections.Hashtable\"}", "truncated_json", "body.text")]
    public void A_body_that_every_service_refuses_is_an_error(string endpoint, string fields, string code, string param)
    {
        string Request(string id, string body) => RequestLineOf(id, endpoint, body);
        const string Valid = "\"messages\":[{\"role\":\"user\",\"content\":\"c\"}],\"input\":\"i\",\"prompt\":\"p\"";
        BatchFileReport report = Check(Request("first", Valid), Request("bad", fields), Request("last", Valid));
        LineIssue issue = Assert.Single(report.Issues);
        Assert.Equal((2, "bad", code, param, IssueSeverity.Error), (issue.Line, issue.CustomId, issue.Code, issue.Param, issue.Severity));
        Assert.Equal(code == "truncated_json", issue.Message.Contains("-Depth", StringComparison.Ordinal));
        // The local service leaves the body to the upstream, so that only this request fails.
        Assert.True(Check(ValidationRules.LocalService, Request("first", Valid), Request("bad", fields)).IsValid);
    }

    [Theory]
    [InlineData("chat/completions", "\"messages\":[{\"content\":\"System.Object is a class. @{a=1}\",\"role\":\"critic\"}]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"@{a=1}\"},{\"role\":\"tool\",\"content\":null}]")]
    [InlineData("chat/completions", "\"messages\":\"x\",\"messages\":[{\"role\":\"user\"}]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"}],\"tools\":[{\"function\":{\"description\":\"System. A tool @{a}\"}}]")]
    [InlineData("embeddings", "\"input\":[\"a\",[1,2],3]")]
    [InlineData("embeddings", "\"input\":[\"System.Text.Json\",\"@{a=1}\"]")]
    [InlineData("embeddings", "\"messages\":[{\"role\":\"user\",\"content\":\"c\"}]")]
    [InlineData("moderations", "\"input\":[\"System.IO.File\"]")]
    [InlineData("completions", "\"prompt\":[\"System.Console.WriteLine(\"]")]
    [InlineData("responses", "\"prompt\":{\"id\":\"p\"},\"input\":[]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":[\"hello\"]}]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"System.Object[]\"}]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"}],\"tools\":[{\"function\":{\"name\":\"System.Get\",\"description\":\"@{x=1}\",\"parameters\":{\"properties\":{\"a\":{\"enum\":[\"System.String\",\"System.Int32\"],\"default\":\"@{a=1}\"}}}}}]")]
    [InlineData("chat/completions", "\"messages\":[{\"role\":\"user\"}],\"response_format\":{\"json_schema\":{\"name\":\"System.X\",\"schema\":{\"properties\":{\"a\":{\"const\":\"System.Object\"}},\"required\":[\"System.A\"]}}}")]
    [InlineData("responses", "\"input\":\"i\",\"text\":{\"format\":{\"schema\":{\"enum\":[\"System.A\",\"System.B\"]}}}")]
    [InlineData("embeddings", "\"input\":\"\"")]
    [InlineData("responses", "\"prompt\":{\"id\":\"p\"}")]
    [InlineData("responses", "\"previous_response_id\":\"r\"")]
    [InlineData("responses", "\"input\":[{\"type\":\"function_call_output\"},{\"role\":\"user\"}]")]
    [InlineData("completions", "")]
    [InlineData("moderations", "\"input\":[{\"type\":\"text\"}]")]
    public void A_body_that_some_service_accepts_is_valid(string endpoint, string fields) =>
        Assert.Empty(Check(RequestLineOf("a", endpoint, fields)).Issues);

    [Theory]
    [InlineData("{\n  \"custom_id\": \"a\",\n  \"body\": {\n    \"model\": \"m\"\n  }\n}", 1)]
    [InlineData("[\r\n  {\"custom_id\":\"a\"},\r\n  {\"custom_id\":\"b\"}\r\n]\r\n", 1)]
    [InlineData("\n\n{ \"a\":\n 1 }\n{ \"b\":\n 2 }", 3)]
    public void Json_over_several_lines_is_one_error(string text, int line)
    {
        BatchFileReport report = Check(text);
        LineIssue issue = Assert.Single(report.Issues, issue => issue.Severity == IssueSeverity.Error);
        Assert.Equal((line, "multi_line_json"), (issue.Line, issue.Code));
        Assert.Contains("-Compress", issue.Message, StringComparison.Ordinal);
        Assert.Equal(0, report.RequestCount);
    }

    [Theory]
    [InlineData("{\"custom_id\":", 2)]
    [InlineData("{\"custom_id\":\"a", 1)]
    [InlineData("{", 1)]
    public void A_line_that_was_cut_off_is_not_json_over_several_lines(string line, int errors)
    {
        BatchFileReport report = Check(line, Line("b"), Line("c"));
        Assert.DoesNotContain(report.Issues, issue => issue.Code == "multi_line_json");
        Assert.InRange(report.ErrorCount, 1, errors);
    }

    [Theory]
    [InlineData("\"messages\":[{\"role\":\"user\"}]", "\"stream\":false,\"messages\":[{\"role\":\"user\"}]")]
    [InlineData("\"messages\":[{\"role\":\"user\"}]", "\"stream\":null,\"messages\":[{\"role\":\"user\"}]")]
    [InlineData("\"messages\":[{\"role\":\"user\"}]", "\"x\":{\"stream\":true},\"messages\":[{\"role\":\"user\"}]")]
    [InlineData("\"messages\":[{\"role\":\"user\"}]", "\"stream\":true,\"stream\":false,\"messages\":[{\"role\":\"user\"}]")]
    [InlineData("\"/v1/chat/completions\"", "\"/chat/completions\"")]
    [InlineData("\"POST\"", "\"\\u0050OST\"")]
    [InlineData("{\"custom_id\"", "{\"extra\":{\"custom_id\":1},\"custom_id\"")]
    [InlineData("\"ID\"", "\"\\u0000\"")]
    [InlineData("\"ID\"", "\"😀 \\\" \\n\"")]
    public void Lines_that_only_look_wrong_are_valid(string part, string harmless)
    {
        string line = Good.Replace(part, harmless, StringComparison.Ordinal);
        Assert.NotEqual(Good, line);
        Assert.Empty(Check(Line("first"), line, Line("last")).Issues);
    }

    [Theory]
    [InlineData("missing_required_parameter", "Missing required parameter: 'custom_id'.", "{}")]
    [InlineData("invalid_json_line", "This line is not parseable as valid JSON.", "{")]
    public void Messages_are_those_of_the_service_where_it_has_one(string code, string message, string line) =>
        Assert.Contains(Check(Line("a"), line).Issues, issue => (issue.Code, issue.Message, issue.Line) == (code, message, 2));

    [Theory]
    [InlineData("\"ID\"", "17", "Invalid value for 'custom_id': expected a string, but got a number.")]
    [InlineData("\"ID\"", "\"\"", "Invalid value for 'custom_id': the string must not be empty.")]
    [InlineData("\"ID\"", "\"first\"", "The custom_id 'first' is already used on line 1. Each custom_id must be unique in the file.")]
    [InlineData("\"POST\"", "true", "Invalid value for 'method': expected a string, but got a boolean.")]
    [InlineData("\"m\"", "[1]", "Invalid value for 'body.model': expected a string, but got an array.")]
    [InlineData("\"m\"", "{}", "Invalid value for 'body.model': expected a string, but got an object.")]
    [InlineData("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "\"{}\"", "Invalid value for 'body': expected an object, but got a string.")]
    [InlineData(
        "/v1/chat/completions", "/v1/images",
        "The URL provided for this request does not match the batch endpoint. The line has '/v1/images', but the batch endpoint is '/v1/chat/completions'.")]
    public void A_message_has_the_value_and_what_is_expected(string part, string mistake, string message) =>
        Assert.Equal(message, Assert.Single(Check(Line("first"), Good.Replace(part, mistake, StringComparison.Ordinal)).Issues).Message);

    [Fact]
    public void A_line_may_have_several_mistakes()
    {
        BatchFileReport report = Check("{}");
        Assert.Equal(["custom_id", "method", "body", "url"], report.Issues.Select(issue => issue.Param));
        Assert.All(report.Issues, issue => Assert.Equal((1, "missing_required_parameter"), (issue.Line, issue.Code)));
        Assert.Equal(4, report.ErrorCount);
    }

    [Fact]
    public void Each_duplicate_names_the_first_line()
    {
        BatchFileReport report = Check(Line("a"), Line("b"), Line("a"), Line("a"));
        Assert.Equal([3, 4], report.Issues.Select(issue => issue.Line));
        Assert.All(report.Issues, issue =>
        {
            Assert.Equal((IssueCodes.DuplicateCustomId, "a"), (issue.Code, issue.CustomId));
            Assert.Contains("line 1", issue.Message, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void An_ID_that_a_later_value_replaces_is_not_a_duplicate() =>
        Assert.DoesNotContain(
            Check("""{"custom_id":"a","custom_id":5}""", Line("a")).Issues, issue => issue.Code == IssueCodes.DuplicateCustomId);

    [Fact]
    public void One_invalid_line_in_50_000_is_found()
    {
        BatchFileReport report = Check([.. Enumerable.Range(1, 50_000).Select(i => i == 49_321 ? "{oops" : Line($"request-{i}"))]);
        LineIssue issue = Assert.Single(report.Issues);
        Assert.Equal((49_321, IssueCodes.InvalidJson), (issue.Line, issue.Code));
        Assert.Equal(50_000, report.RequestCount);
    }

    [Fact]
    public void One_invalid_line_among_50_000_without_url_is_found_if_the_url_is_optional()
    {
        string noUrl = Good.Replace("\"url\":\"/v1/chat/completions\",", "", StringComparison.Ordinal);
        string[] lines = [.. Enumerable.Range(1, 50_000).Select(i => i == 49_321 ? "{oops" : noUrl.Replace("ID", $"r{i}", StringComparison.Ordinal))];
        BatchFileReport report = Check(new ValidationRules { UrlIsOptional = true }, lines);
        Assert.Equal(49_321, Assert.Single(report.Issues, issue => issue.Severity == IssueSeverity.Error).Line);
        LineIssue remark = Assert.Single(report.Issues, issue => issue.Code == IssueCodes.MissingUrl);
        Assert.Equal((1, IssueSeverity.Remark), (remark.Line, remark.Severity));
        Assert.Contains(49_999.ToString("N0", CultureInfo.CurrentCulture), remark.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_last_line_counts_without_a_newline()
    {
        BatchFileReport report = CheckBytes(Encoding.UTF8.GetBytes(Line("a") + "\n" + Line("b")));
        Assert.Empty(report.Issues);
        Assert.Equal(2, report.RequestCount);
    }

    [Fact]
    public void Blank_lines_are_counted_in_one_remark()
    {
        BatchFileReport report = Check(Line("a"), "", " \t", "{", "");
        Assert.Equal(2, report.RequestCount);
        Assert.Equal((4, IssueCodes.InvalidJson), Assert.Single(
            report.Issues.Where(issue => issue.Severity == IssueSeverity.Error).Select(issue => (issue.Line ?? 0, issue.Code))));
        LineIssue remark = Assert.Single(report.Issues, issue => issue.Code == IssueCodes.BlankLine);
        Assert.Equal((2, IssueSeverity.Remark), (remark.Line, remark.Severity));
        Assert.StartsWith("3 ", remark.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_byte_order_mark_and_CRLF_are_remarks()
    {
        byte[] file = Encoding.UTF8.GetBytes("\ufeff" + Line("a") + "\r\n" + Line("b") + "\r\n");
        BatchFileReport report = CheckBytes(file);
        Assert.True(report.IsValid);
        Assert.Equal(2, report.RequestCount);
        Assert.Equal(file.Length, report.Bytes);
        Assert.Equal([IssueCodes.CarriageReturn, IssueCodes.ByteOrderMark], report.Issues.Select(issue => issue.Code));
        Assert.All(report.Issues, issue => Assert.Equal(IssueSeverity.Remark, issue.Severity));
    }

    public static TheoryData<string, bool> Utf16 => new() { { "utf-16", true }, { "utf-16", false }, { "utf-16BE", true }, { "utf-16BE", false } };

    [Theory]
    [MemberData(nameof(Utf16))]
    public void UTF16_is_one_error_that_says_how_to_convert(string name, bool withMark)
    {
        var encoding = Encoding.GetEncoding(name);
        byte[] text = encoding.GetBytes(Line("a") + "\n" + Line("b") + "\n");
        BatchFileReport report = CheckBytes(withMark ? [.. encoding.GetPreamble(), .. text] : text);
        LineIssue issue = Assert.Single(report.Issues);
        Assert.Equal((1, IssueCodes.InvalidEncoding), (issue.Line, issue.Code));
        Assert.Contains("utf8NoBOM", issue.Message, StringComparison.Ordinal);
        Assert.Equal(text.Length + (withMark ? 2 : 0), report.Bytes);
    }

    [Fact]
    public void Invalid_UTF8_is_an_error_with_its_line()
    {
        byte[] file = [.. Encoding.UTF8.GetBytes(Line("a") + "\n"), .. Encoding.Latin1.GetBytes(Line("Grüße") + "\n")];
        LineIssue issue = Assert.Single(CheckBytes(file).Issues);
        Assert.Equal((2, IssueCodes.InvalidEncoding), (issue.Line, issue.Code));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n \n\r\n")]
    [InlineData("\ufeff")]
    public void A_file_without_a_request_is_empty(string text)
    {
        BatchFileReport report = CheckBytes(Encoding.UTF8.GetBytes(text));
        LineIssue issue = Assert.Single(report.Issues, issue => issue.Severity == IssueSeverity.Error);
        Assert.Equal((null, IssueCodes.EmptyFile), (issue.Line, issue.Code));
        Assert.Equal(0, report.RequestCount);
    }

    [Fact]
    public void A_file_of_NULs_is_an_error() =>
        Assert.Equal((1, IssueCodes.InvalidJson), Assert.Single(CheckBytes(new byte[100_000]).Issues.Select(issue => (issue.Line, issue.Code))));

    [Fact]
    public void More_requests_than_the_limit_are_an_error()
    {
        var rules = new ValidationRules { MaxRequests = 3 };
        Assert.Empty(Check(rules, Line("a"), Line("b"), Line("c")).Issues);
        LineIssue issue = Assert.Single(Check(rules, Line("a"), Line("b"), Line("c"), Line("d")).Issues);
        Assert.Equal((null, IssueCodes.TooManyRequests), (issue.Line, issue.Code));
        Assert.Equal(50_000, new ValidationRules().MaxRequests);
    }

    [Fact]
    public void More_bytes_than_the_limit_are_an_error()
    {
        int size = Encoding.UTF8.GetByteCount(Line("a")) + 1;
        Assert.Empty(Check(new ValidationRules { MaxBytes = size }, Line("a")).Issues);
        LineIssue issue = Assert.Single(Check(new ValidationRules { MaxBytes = size - 1 }, Line("a")).Issues);
        Assert.Equal((null, IssueCodes.FileTooLarge), (issue.Line, issue.Code));
        Assert.Equal(200 * 1024 * 1024, new ValidationRules().MaxBytes);
    }

    [Fact]
    public void Bytes_before_the_position_of_the_stream_do_not_count()
    {
        byte[] line = Encoding.UTF8.GetBytes(Line("a") + "\n");
        var stream = new MemoryStream([.. new byte[1_000], .. line]) { Position = 1_000 };
        BatchFileReport report = new FileValidator(new ValidationRules()).Validate(stream, null);
        Assert.True(report.IsValid);
        Assert.Equal(line.Length, report.Bytes);
    }

    [Fact]
    public void Issues_beyond_the_limit_are_counted_but_not_listed()
    {
        BatchFileReport report = Check(new ValidationRules { MaxIssues = 10, MaxBytes = 1 }, [.. Enumerable.Repeat("{", 25)]);
        Assert.Equal(26, report.ErrorCount);
        Assert.Equal(Enumerable.Range(1, 10), report.Issues.Where(issue => issue.Code == IssueCodes.InvalidJson).Select(issue => issue.Line ?? 0));
        Assert.Equal(IssueCodes.FileTooLarge, report.Issues[0].Code); // Errors of the whole file are always listed.
        Assert.Equal((IssueCodes.MoreIssues, IssueSeverity.Remark), (report.Issues[^1].Code, report.Issues[^1].Severity));
        Assert.StartsWith("15 ", report.Issues[^1].Message, StringComparison.Ordinal);
        Assert.Equal(12, report.Issues.Count);
    }

    [Fact]
    public void The_local_service_limits_lines_and_names()
    {
        ValidationRules rules = ValidationRules.LocalService;
        string Sized(int bytes) => Line("a").Replace("\"user\"", $"\"user{new string('x', bytes - Line("a").Length)}\"", StringComparison.Ordinal);
        Assert.True(Check(rules, Sized(16 * 1024 * 1024)).IsValid);
        BatchFileReport report = Check(rules, Line("b"), Sized((16 * 1024 * 1024) + 1), Line("c"));
        Assert.Equal((3, (2, IssueCodes.LineTooLong)), (report.RequestCount, Assert.Single(Errors(report))));

        string Emoji(int count) => string.Concat(Enumerable.Repeat("😀", count)); // One character each, two units of UTF-16.
        Assert.True(Check(rules, Line(Emoji(512), model: Emoji(512))).IsValid);
        report = Check(rules, Line(Emoji(513)), Line("d", model: Emoji(513)));
        Assert.Equal([(1, IssueCodes.NameTooLong), (2, IssueCodes.NameTooLong)], Errors(report));
        Assert.Equal(["custom_id", "body.model"], report.Issues.Select(issue => issue.Param));
        Assert.True(Check(new ValidationRules(), Line(new string('x', 5_000))).IsValid);
    }

    [Fact]
    public void A_message_repeats_only_the_start_of_a_name()
    {
        string name = new('x', 10_000);
        BatchFileReport report = Check(
            new ValidationRules { OneModelOnly = true }, Line(name, model: name), Line(name, model: name + "y"), Line("c", "/v1/" + name, model: name));
        Assert.Equal(3, report.ErrorCount);
        Assert.All(report.Issues, issue => Assert.InRange(issue.Message.Length, 1, 400));
    }

    private static IEnumerable<(int, string)> Errors(BatchFileReport report) => report.Issues.Select(issue => (issue.Line ?? 0, issue.Code));

    [Fact]
    public void Exactly_as_many_issues_as_the_limit_are_all_listed() =>
        Assert.Equal(10, Check(new ValidationRules { MaxIssues = 10 }, [.. Enumerable.Repeat("{", 10)]).Issues.Count);

    [Fact]
    public void The_endpoint_of_the_batch_takes_precedence_over_that_of_the_first_line()
    {
        BatchFileReport report = Check(new ValidationRules { Endpoint = "/v1/embeddings", ChecksBodies = false }, Line("a"), Line("b", "/v1/embeddings"));
        LineIssue issue = Assert.Single(report.Issues);
        Assert.Equal((1, IssueCodes.InvalidUrl, "url"), (issue.Line, issue.Code, issue.Param));
        Assert.StartsWith("The URL provided for this request does not match the batch endpoint.", issue.Message, StringComparison.Ordinal);
        Assert.Equal("/v1/embeddings", report.Endpoint);
    }

    [Fact]
    public void An_unsupported_endpoint_of_the_first_line_is_not_used_for_the_file()
    {
        BatchFileReport report = Check(Line("a", "/v1/images"), Line("b"));
        Assert.Equal((1, IssueCodes.InvalidUrl), Assert.Single(report.Issues.Select(issue => (issue.Line, issue.Code))));
        Assert.Equal("/v1/chat/completions", report.Endpoint);
    }

    [Theory]
    [InlineData("/v1/completions")]
    [InlineData("/v1/embeddings")]
    [InlineData("/v1/responses")]
    [InlineData("/v1/moderations")]
    [InlineData("/chat/completions")]
    public void Every_documented_endpoint_is_supported(string url) => Assert.Empty(Check(new ValidationRules { ChecksBodies = false }, Line("a", url), Line("b", url)).Issues);

    [Fact]
    public void Moderations_do_not_need_a_model() =>
        Assert.Empty(Check("""{"custom_id":"a","method":"POST","url":"/v1/moderations","body":{"input":"x"}}""").Issues);

    [Fact]
    public void Mixed_models_are_one_warning_per_model()
    {
        BatchFileReport report = Check(Line("1"), Line("2", model: "n"), Line("3", model: "n"), Line("4"), Line("5", model: "o"));
        Assert.True(report.IsValid);
        Assert.Equal(["m", "n", "o"], report.Models);
        Assert.Equal([2, 5], report.Issues.Select(issue => issue.Line));
        Assert.All(report.Issues, issue => Assert.Equal((IssueCodes.MismatchedModel, IssueSeverity.Warning), (issue.Code, issue.Severity)));
    }

    [Fact]
    public void Mixed_models_are_an_error_on_every_line_if_the_service_requires_one()
    {
        var sent = new List<int>();
        var validator = new FileValidator(new ValidationRules { OneModelOnly = true }, span => sent.Add(span.Line));
        BatchFileReport report = validator.Validate(
            Stream(Line("1"), Line("2", model: "n"), Line("3", model: "n"), Line("4"), Line("5", model: "n")), null);
        Assert.Equal([2, 3, 5], report.Issues.Select(issue => issue.Line));
        Assert.All(report.Issues, issue =>
            Assert.Equal((IssueCodes.MismatchedModel, IssueSeverity.Error, "body.model"), (issue.Code, issue.Severity, issue.Param)));
        Assert.Equal([1, 4], sent);
    }

    [Fact]
    public void One_model_per_line_does_not_hide_the_invalid_line()
    {
        BatchFileReport report = Check([.. Enumerable.Range(1, 5_000).Select(i => i == 4_000 ? "{" : Line($"{i}", model: $"m{i}"))]);
        Assert.Equal(4_000, Assert.Single(report.Issues, issue => issue.Severity == IssueSeverity.Error).Line);
        Assert.Equal(100, report.Models.Count);
    }

    [Fact]
    public void Each_valid_request_is_reported_with_its_position()
    {
        byte[] file = Encoding.UTF8.GetBytes("\ufeff" + Line("ä") + "\r\n\n{\n" + Line("b") + "\n" + Line("b") + "\n  " + Line("\\\"c"));
        var spans = new List<RequestSpan>();
        new FileValidator(new ValidationRules(), spans.Add).Validate(new MemoryStream(file), null);
        Assert.Equal([1, 4, 6], spans.Select(span => span.Line));
        Assert.Equal(["\"ä\"", "\"b\"", "\"\\\"c\""], spans.Select(span => Slice(span.IdStart, span.IdLength, span)));
        Assert.All(spans, span => Assert.Equal("""{"model":"m","messages":[{"role":"user"}]}""", Slice(span.BodyStart, span.BodyLength, span)));
        Assert.Equal([Line("ä"), Line("b"), "  " + Line("\\\"c")], spans.Select(span => Slice(0, span.Length, span)));

        string Slice(int start, int length, RequestSpan span) => Encoding.UTF8.GetString(file, (int)span.Offset + start, length);
    }

    [Fact]
    public void A_validation_can_be_cancelled()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(
            () => new FileValidator(new ValidationRules()).Validate(Stream(Line("a")), null, null, cancelled.Token));
    }

    private static string Line(string id, string url = "/v1/chat/completions", string model = "m") =>
        Good.Replace("ID", id, StringComparison.Ordinal)
            .Replace("/v1/chat/completions", url, StringComparison.Ordinal)
            .Replace("\"m\"", $"\"{model}\"", StringComparison.Ordinal);

    private static string RequestLineOf(string id, string endpoint, string fields) =>
        $$$"""{"custom_id":"{{{id}}}","method":"POST","url":"/v1/{{{endpoint}}}","body":{"model":"m"{{{(fields.Length > 0 ? "," : "")}}}{{{fields}}}}}""";

    private static MemoryStream Stream(params string[] lines) => new(Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n"))));

    private static BatchFileReport Check(params string[] lines) => Check(new ValidationRules(), lines);

    private static BatchFileReport Check(ValidationRules rules, params string[] lines) => new FileValidator(rules).Validate(Stream(lines), null);

    private static BatchFileReport CheckBytes(byte[] file) => new FileValidator(new ValidationRules()).Validate(new MemoryStream(file), null);
}
