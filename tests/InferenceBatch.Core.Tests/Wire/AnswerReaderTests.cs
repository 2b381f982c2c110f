using System.Text;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>Files, errors and lists in the responses of services.</summary>
public sealed class AnswerReaderTests
{
    [Fact]
    public void Reads_the_documented_file_object()
    {
        BatchFile file = ReadFile("""
            {"id":"file-abc123","object":"file","bytes":120000,"created_at":1677610602,"expires_at":1677614202,"filename":"salesOverview.jsonl","purpose":"batch","status":"processed"}
            """);
        Assert.Equal(("file-abc123", "file-abc123", 120_000L), (file.Id, file.InputFileId, file.Bytes));
        Assert.Equal(("salesOverview.jsonl", "batch", "processed"), (file.FileName, file.Purpose, file.Status));
        Assert.Equal(1677610602, file.CreatedAt?.ToUnixTimeSeconds());
        Assert.Equal(1677614202, file.ExpiresAt?.ToUnixTimeSeconds());
    }

    [Fact]
    public void Reads_the_upload_response_of_Inference_net_with_only_an_ID_and_milliseconds()
    {
        BatchFile file = ReadFile("""{"id":"_x-Yk3LmN9pQ2rS5tU8vW","created_at":1751884800123}""");
        Assert.Equal("_x-Yk3LmN9pQ2rS5tU8vW", file.Id);
        Assert.Equal(1751884800123, file.CreatedAt?.ToUnixTimeMilliseconds());
        Assert.Null(file.Bytes);
        Assert.Null(file.FileName);
        Assert.Null(file.Status);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{\"id\":\"\"}")]
    [InlineData("<!DOCTYPE html>")]
    [InlineData("")]
    public void A_response_that_is_not_a_file_is_a_JsonException(string json) => Assert.ThrowsAny<JsonException>(() => ReadFile(json));

    [Theory]
    [InlineData("""{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"invalid_value"}}""", "invalid_value", "m", "p")]
    [InlineData("""{"error":{"message":"File type not allowed. Allowed extensions: .jsonl","type":"BadRequestError"}}""", "BadRequestError", "File type not allowed. Allowed extensions: .jsonl", null)]
    [InlineData("""{"error":"Failed to retrieve batch"}""", "error", "Failed to retrieve batch", null)]
    [InlineData("""{"error":{"message":"m","code":429}}""", "429", "m", null)]
    [InlineData("""{"error":{"message":"m","code":null,"type":null,"param":null}}""", "error", "m", null)]
    [InlineData("""{"error":true,"message":"m"}""", "error", "m", null)]
    [InlineData("""{"message":"m","code":"InvalidParameter"}""", "InvalidParameter", "m", null)]
    [InlineData("""{"detail":"Not authenticated"}""", "error", "Not authenticated", null)]
    [InlineData("""{"detail":[{"loc":["body"],"msg":"field required"}]}""", "error", "field required", null)]
    // FastAPI: a list of details.
    [InlineData("""{"detail":[{"loc":["body","messages"],"msg":"field required","type":"missing"}]}""", "missing", "messages: field required", "messages")]
    [InlineData("""{"detail":[{"loc":["query","limit"],"msg":"m"},{"loc":["body","n",0],"msg":"n"},{"msg":"o"},{"msg":"p"}]}""", "error", "query.limit: m; n.0: n; o", "query.limit")]
    [InlineData("""{"detail":["a","b"]}""", "error", "a; b", null)]
    [InlineData("""{"detail":{"code":"c","message":"m"}}""", "c", "m", null)]
    [InlineData("""{"object":"error","message":{"detail":[{"loc":["body","model"],"msg":"m","type":"missing"}]},"type":"invalid_request_error","code":1500}""", "1500", "model: m", "model")]
    [InlineData("""{"message":{"reason_of":"x"}}""", "error", """{"reason_of":"x"}""", null)]
    // Problem details, RFC 9457.
    [InlineData("""{"type":"about:blank","title":"Not Found","status":404,"detail":"No such model."}""", "error", "Not Found: No such model.", null)]
    [InlineData("""{"type":"https://example.com/probs/out-of-credit","title":"No credit.","detail":"Balance is 30."}""", "out-of-credit", "No credit: Balance is 30.", null)]
    [InlineData("""{"type":"urn:problem-type:example:badRequest","title":"Bad Request"}""", "badRequest", "Bad Request", null)]
    [InlineData("""{"type":"https://tools.ietf.org/html/rfc9110#section-15.5.1","title":"Invalid.","status":400,"errors":{"model":["is missing"],"n":["is too large","is odd"]}}""", "error", "Invalid: model: is missing; n: is too large; is odd", "model")]
    [InlineData("""{"type":"https://httpstatuses.io/404","title":"Not Found","status":404}""", "error", "Not Found", null)]
    [InlineData("""{"title":"No model","detail":"No model with this name"}""", "error", "No model with this name", null)]
    // Lists of errors.
    [InlineData("""{"success":false,"errors":[{"code":7003,"message":"no route"}],"messages":[]}""", "7003", "no route", null)]
    [InlineData("""{"errors":[{"message":"a","code":"c"},{"message":"b","code":"d"}]}""", "c", "a; b", null)]
    [InlineData("""{"errors":{"object":"list","data":[{"code":"c","message":"m","param":"p"}]}}""", "c", "m", "p")]
    [InlineData("""{"errors":["m"]}""", "error", "m", null)]
    [InlineData("""{"errors":"m"}""", "error", "m", null)]
    [InlineData("""{"message":"m","errors":[{"message":"n"}]}""", "error", "m", null)]
    [InlineData("""[{"code":"c","message":"m"}]""", "c", "m", null)]
    [InlineData("""["m"]""", "error", "m", null)]
    // Other names.
    [InlineData("""{"error_code":17,"error_msg":"Open api daily request limit reached"}""", "17", "Open api daily request limit reached", null)]
    [InlineData("""{"code":1001,"msg":"m","data":null}""", "1001", "m", null)]
    [InlineData("""{"errorCode":"C","errorMessage":"m"}""", "C", "m", null)]
    [InlineData("""{"error":"invalid_token","error_description":"The token expired"}""", "invalid_token", "The token expired", null)]
    [InlineData("""{"error":"Model is overloaded","error_type":"overloaded"}""", "overloaded", "Model is overloaded", null)]
    [InlineData("""{"timestamp":"t","status":404,"error":"Not Found","message":"No model m","path":"/v1"}""", "error", "No model m", null)]
    [InlineData("""{"__type":"ThrottlingException","Message":"m"}""", "ThrottlingException", "m", null)]
    // Text.
    [InlineData("model not found\n", "error", "model not found", null)]
    [InlineData("upstream connect error or disconnect/reset before headers", "error", "upstream connect error or disconnect/reset before headers", null)]
    [InlineData("color \u001b[31mred", "error", "color \ufffd[31mred", null)]
    [InlineData("""{"error":{"message":"a\ud83d b\u001b]0;title\u0007","code":"c\u001b\nd"}}""", "c\ufffd d", "a\ufffd b\ufffd]0;title\ufffd", null)]
    [InlineData("""[{"error":{"message":"m","code":"c"}}]""", "c", "m", null)]
    [InlineData("\"plain\"", "error", "plain", null)]
    // The type (llama.cpp, vLLM) or the status word (Google) is more specific than a code that repeats the status.
    [InlineData("""{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_ctx":512}}""", "exceed_context_size_error", "m", null)]
    [InlineData("""{"error":{"code":"400","message":"m","type":"invalid_request_error"}}""", "invalid_request_error", "m", null)]
    [InlineData("""{"error":{"code":null,"message":"m","type":"unavailable_error"}}""", "unavailable_error", "m", null)]
    [InlineData("""{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}""", "BadRequestError", "m", null)]
    [InlineData("""{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}""", "RESOURCE_EXHAUSTED", "m", null)]
    [InlineData("""[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]""", "INVALID_ARGUMENT", "m", null)]
    [InlineData("""{"error":{"code":503,"message":"m","type":"error"}}""", "503", "m", null)]
    [InlineData("""{"error":{"code":500,"message":"m","type":"500"}}""", "500", "m", null)]
    [InlineData("""{"error":{"code":1301,"message":"m","type":"server_error"}}""", "1301", "m", null)]
    [InlineData("""{"error":{"code":"rate_limit_exceeded","message":"m","type":"tokens"}}""", "rate_limit_exceeded", "m", null)]
    [InlineData("""{"error":"m","code":"rate_limited"}""", "rate_limited", "m", null)]
    [InlineData("""{"error":"m","code":429}""", "error", "m", null)]
    public void Reads_errors_in_every_form(string body, string code, string message, string? param) =>
        Assert.Equal(new ServiceError(code, message, param), ErrorReader.ReadBody(Encoding.UTF8.GetBytes(body)));

    /// <summary>The number in the error or next to it, otherwise the meaning of its code or type.</summary>
    [Theory]
    [InlineData("""{"error":{"code":502,"message":"m"}}""", 502)]
    [InlineData("""{"error":{"code":"429"}}""", 429)]
    [InlineData("""{"error":true,"status":503}""", 503)]
    [InlineData("""{"error":"m","statusCode":404}""", 404)]
    [InlineData("""{"error":{"message":"m"},"code":403}""", 403)]
    [InlineData("""{"error":{"status":"RESOURCE_EXHAUSTED","message":"m"}}""", 429)]
    [InlineData("""[{"error":{"code":503,"status":"UNAVAILABLE"}}]""", 503)]
    [InlineData("""{"error":504}""", 504)]
    [InlineData("""{"error":{"message":"m","type":"rate_limit_exceeded"}}""", 429)]
    [InlineData("""{"error":{"message":"m","code":"insufficient_quota","type":"insufficient_quota"}}""", 429)]
    [InlineData("""{"type":"error","error":{"type":"overloaded_error","message":"m"}}""", 503)]
    [InlineData("""{"object":"error","message":"m","type":"BadRequestError"}""", 400)]
    [InlineData("""{"error":{"message":"m","type":"exceed_context_size_error"}}""", 400)]
    [InlineData("""{"error":{"message":"m","code":"InternalServerError"}}""", 500)]
    [InlineData("""{"error":{"message":"m","code":"not_supported_error"}}""", 501)]
    [InlineData("""{"error":{"code":200,"message":"m"}}""", null)]
    [InlineData("""{"error":{"code":1301,"message":"m"}}""", null)]
    [InlineData("""{"error":{"message":"m","type":"something_else"}}""", null)]
    [InlineData("""{"error":"m"}""", null)]
    [InlineData("5", null)]
    [InlineData("null", null)]
    public void Finds_the_HTTP_status_of_an_error(string body, int? status)
    {
        using var document = JsonDocument.Parse(body);
        Assert.Equal(status, HttpErrorStatus.Read(document.RootElement));
    }

    [Theory]
    [InlineData("")]
    [InlineData("<html><body>502 Bad Gateway</body></html>")]
    [InlineData("""{"error":{"mess""")]
    [InlineData("[{\"error\":")]
    [InlineData("\"cut off")]
    [InlineData("  \r\n")]
    [InlineData("\u0000\u0001")]
    [InlineData("""{"detail":[]}""")]
    [InlineData("""{"errors":{}}""")]
    [InlineData("""{"type":"about:blank"}""")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"error":null}""")]
    [InlineData("""{"error":{}}""")]
    [InlineData("[]")]
    [InlineData("5")]
    public void A_body_without_an_error_is_null(string body) => Assert.Null(ErrorReader.ReadBody(Encoding.UTF8.GetBytes(body)));

    [Fact]
    public void Deeply_nested_errors_do_not_crash() =>
        ErrorReader.ReadBody(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"error\":", 50_000)) + "1" + new string('}', 50_000)));

    [Fact]
    public void A_message_is_cut_between_characters()
    {
        string message = ErrorReader.ReadBody(JsonSerializer.SerializeToUtf8Bytes(new { error = new string('x', 499) + "😀😀😀" }))!.Message;
        Assert.EndsWith("…", message, StringComparison.Ordinal);
        Assert.Equal(message, Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(message)));
    }

    [Theory]
    [InlineData("""{"object":"list","data":[{"id":"a"},{"id":"b"}],"first_id":"a","last_id":"b","has_more":true}""", "a b", true)]
    [InlineData("""{"object":"list","data":[{"id":"a"}],"has_more":false}""", "a", false)]
    [InlineData("""{"object":"list","data":[{"id":"a"}]}""", "a", null)]
    [InlineData("""{"data":[{"id":"a"}],"has_more":null}""", "a", null)]
    [InlineData("""{"value":[{"id":"a"}]}""", "a", null)]
    [InlineData("""[{"id":"a"},{"id":"b"}]""", "a b", null)]
    [InlineData("[]", "", null)]
    [InlineData("""{"object":"list","data":[]}""", "", null)]
    [InlineData("""{"object":"list","data":null,"has_more":false}""", "", false)]
    public void Reads_lists_in_every_form(string json, string ids, bool? hasMore)
    {
        Page<Batch> page = Page<Batch>.Read(Encoding.UTF8.GetBytes(json), BatchReader.Read);
        Assert.Equal(ids, string.Join(' ', page.Items));
        Assert.Equal(hasMore, page.HasMore);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("""{"data":{}}""")]
    [InlineData("""{"data":[{"no":"id"}]}""")]
    [InlineData("<html>")]
    public void A_response_that_is_not_a_list_is_a_JsonException(string json) =>
        Assert.ThrowsAny<JsonException>(() => Page<Batch>.Read(Encoding.UTF8.GetBytes(json), BatchReader.Read));

    private static BatchFile ReadFile(string json) => BatchFileReader.Read(Encoding.UTF8.GetBytes(json));
}
