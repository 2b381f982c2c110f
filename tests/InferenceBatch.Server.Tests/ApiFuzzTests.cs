using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Api;
using InferenceBatch.Server.Tests.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Server.Tests;

/// <summary>
/// Sends mutated uploads, bodies, queries and headers to the service. Every response must be as documented, and not 5xx.
/// INFERENCE_BATCH_TEST_SEED repeats a run, and INFERENCE_BATCH_TEST_ROUNDS makes it longer.
/// </summary>
public sealed class ApiFuzzTests : IAsyncLifetime
{
    private static readonly int s_seed = Number("INFERENCE_BATCH_TEST_SEED", Environment.TickCount);
    private static readonly int s_rounds = 300 * Number("INFERENCE_BATCH_TEST_ROUNDS", 1);

    private static readonly byte[][] s_pieces =
    [
        .. new[]
        {
            "--b", "--b--", "\r\n", "\r\n\r\n", "\n", "\r", "--", "\"", "\\\"", ";", "=", ":", "\0", "Content-Disposition: form-data", "name=\"file\"", "name=\"purpose\"",
            "filename=\"../x.jsonl\"", "filename*=UTF-8''%ff%00.jsonl", "filename*=utf-8''", "filename=", "name=\"expires_after[seconds]\"", "Content-Type: multipart/mixed; boundary=c",
            "Content-Transfer-Encoding: base64", "\ufeff", "\\ud800", "\\u0000", "{", "}", "[", "]", ",", "null", "true", "\"\"", "{}", "[]", "-", "1e999", "99999999999999999999", "0.5",
            "\"input_file_id\":", "\"metadata\":{\"k\":\"v\"},", "\"metadata\":{\"\\ud800\":\"v\"},", "\"webhook_url\":\"https://[::1\",", "\"webhook_url\":\"https://x/\",",
            "\"output_expires_after\":{\"anchor\":\"created_at\",\"seconds\":3600},", "\"endpoint\":null,", "😀", "\u2028", "%00", "%2e%2e", "%", "&limit=", "&after=", "/", "?", " HTTP/1.1\r\n",
            "Transfer-Encoding: chunked\r\n", "Content-Length: 7\r\n", "Expect: 100-continue\r\n", "Range: bytes=-0\r\n", "Authorization: Bearer \r\n", "Host: x\r\n",
        }.Select(Encoding.UTF8.GetBytes),
        [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x9F], [.. Enumerable.Repeat((byte)'[', 3_000)], [.. Enumerable.Repeat((byte)'a', 20_000)],
    ];

    private readonly ITestOutputHelper _output;
    private readonly Random _dice = new(s_seed);
    private TestService _service = null!;
    private string _file = "";

    public ApiFuzzTests(ITestOutputHelper output) => _output = output;

    public async Task InitializeAsync()
    {
        _output.WriteLine($"to repeat this run: INFERENCE_BATCH_TEST_SEED={s_seed}");
        _service = await TestService.StartAsync();
        _file = await _service.Api.UploadAsync(Requests.File(1));
    }

    /// <summary>Asserts after each test that the service logged no error.</summary>
    public async Task DisposeAsync()
    {
        await _service.Api.GetAsync("batches");
        Assert.Empty(_service.Log.Errors);
        await _service.DisposeAsync();
    }

    [Fact]
    public async Task Uploads()
    {
        const string Body = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
            + "--b\r\nContent-Disposition: form-data; name=\"expires_after[anchor]\"\r\n\r\ncreated_at\r\n"
            + "--b\r\nContent-Disposition: form-data; name=\"expires_after[seconds]\"\r\n\r\n3600\r\n"
            + "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n{}\n\r\n--b--\r\n";
        int accepted = 0;
        for (int round = 0; round < s_rounds; round++)
        {
            byte[] body = Mutated(Body);
            string type = _dice.Next(8) == 0 ? Encoding.UTF8.GetString(Mutated("multipart/form-data; boundary=\"b\"")) : "multipart/form-data; boundary=b";
            accepted += await PostAsync("files", body, type) == 200 ? 1 : 0;
        }

        Assert.InRange(accepted, s_rounds / 20, s_rounds * 19 / 20);
        Assert.Equal(accepted + 1, (await _service.Api.GetAsync("files")).GetProperty("data").GetArrayLength());
        Assert.Equal(accepted + 1, Directory.GetFiles(Path.Combine(_service.DataPath, "files")).Length);
        Assert.Empty(Directory.GetFiles(Path.Combine(_service.DataPath, "temp")));
    }

    [Fact]
    public async Task Bodies()
    {
        string body = $$$"""
            {"input_file_id":"{{{_file}}}","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"k":"v"},"webhook_url":"https://example.com/","output_expires_after":{"anchor":"created_at","seconds":3600}}
            """;
        int accepted = 0;
        for (int round = 0; round < s_rounds; round++)
        {
            byte[] mutated = Mutated(body);
            if (await PostAsync("batches", mutated, "application/json") == 200)
            {
                accepted++;
                IReadOnlyList<string> problems = ApiDocument.OfService.Check("CreateBatch", JsonDocument.Parse(mutated).RootElement);
                Assert.True(problems.Count == 0, $"seed {s_seed}: accepted, but invalid according to the document: {string.Join('\n', problems)}\n{Encoding.UTF8.GetString(mutated)}");
            }
        }

        Assert.InRange(accepted, s_rounds / 20, s_rounds * 19 / 20);
    }

    [Fact]
    public async Task Queries_and_paths()
    {
        string[] paths = ["/v1/files?limit=3&order=asc&purpose=batch&after=" + _file, "/v1/batches?limit=3&after=", $"/v1/files/{_file}/content?offset=1", $"/v1/files/{_file}", "/v1/batches/batch_x"];
        await CheckAsync(() => [.. "GET "u8, .. Mutated(paths[_dice.Next(paths.Length)]), .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"u8]);
    }

    [Fact]
    public async Task Headers() => await CheckAsync(() => Mutated(
        "POST /v1/batches HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: 2\r\n\r\n{}"));

    private async Task<int> PostAsync(string path, byte[] body, string type)
    {
        using var content = new ByteArrayContent(body);
        if (!content.Headers.TryAddWithoutValidation("Content-Type", type.ReplaceLineEndings(" ").Replace('\0', ' ')))
        {
            content.Headers.ContentType = new MediaTypeHeaderValue("multipart/form-data");
        }

        try
        {
            using HttpResponseMessage response = await _service.Api.Http.PostAsync(path, content);
            Assert.True((int)response.StatusCode < 500, $"seed {s_seed}: {(int)response.StatusCode} for {type}\n{Encoding.Latin1.GetString(body)}");
            return (int)response.StatusCode;
        }
        catch (HttpRequestException exception) when (exception.InnerException is null)
        {
            return 0; // HttpClient does not send such a content type.
        }
    }

    /// <summary>Sends many requests at the same time, as raw bytes. Each must get a response; an incomplete one gets it after a timeout.</summary>
    private async Task CheckAsync(Func<byte[]> make)
    {
        // Line breaks alone do not start a request, so such a connection would be idle.
        byte[][] requests = [.. Enumerable.Range(0, s_rounds).Select(_ => make()).Where(request => request.AsSpan().IndexOfAnyExcept("\r\n"u8) >= 0)];
        await using TestService service = await TestService.StartAsync(settings => settings with
        {
            Connections = new ConnectionLimits { HeadTimeout = TimeSpan.FromSeconds(2), SlowGrace = TimeSpan.FromSeconds(2) },
        });
        var statuses = new ConcurrentDictionary<int, int>();
        await Parallel.ForEachAsync(requests, new ParallelOptions { MaxDegreeOfParallelism = 50 }, async (request, _) =>
        {
            try
            {
                RawConnection.RawAnswer answer = await RawConnection.AskAsync(service.Address, request);
                statuses.AddOrUpdate(answer.Status, 1, (_, count) => count + 1);
                Assert.True(answer.Status is < 500 or 505, answer.Body);
                if (answer.Status >= 400)
                {
                    answer.ErrorCode();
                }
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"seed {s_seed}: {Convert.ToBase64String(request)}\n{Encoding.Latin1.GetString(request)}", exception);
            }
        });
        _output.WriteLine(string.Join(", ", statuses.OrderBy(status => status.Key).Select(status => $"{status.Key}: {status.Value}")));
        Assert.True(statuses.Count >= 3, "The mutations are too small to test anything.");
        Assert.Empty(service.Log.Errors);
    }

    private byte[] Mutated(string text)
    {
        List<byte> bytes = [.. Encoding.UTF8.GetBytes(text)];
        for (int changes = _dice.Next(4); changes > 0; changes--)
        {
            int at = _dice.Next(bytes.Count + 1);
            switch (_dice.Next(5))
            {
                case 0:
                    bytes.RemoveRange(at, Math.Min(_dice.Next(8), bytes.Count - at));
                    break;
                case 1:
                    bytes.Insert(at, (byte)_dice.Next(256));
                    break;
                case 2: // Repeat a part.
                    int length = Math.Min(_dice.Next(60), bytes.Count - at);
                    bytes.InsertRange(_dice.Next(bytes.Count + 1), bytes.GetRange(at, length));
                    break;
                case 3 when _dice.Next(6) == 0:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    bytes.InsertRange(at, s_pieces[_dice.Next(s_pieces.Length)]);
                    break;
            }
        }

        return [.. bytes];
    }

    private static int Number(string variable, int defaultValue) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out int number) ? number : defaultValue;
}
