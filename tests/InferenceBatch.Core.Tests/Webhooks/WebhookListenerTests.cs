using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using InferenceBatch.Support;

namespace InferenceBatch.Webhooks;

/// <summary>The listener, with real sockets.</summary>
public sealed class WebhookListenerTests : IAsyncDisposable
{
    private static readonly Uri s_prefix = new("http://127.0.0.1:0/secret/");
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly WebhookListener _listener = WebhookListener.Start(s_prefix);
    private readonly HttpClient _http = new();

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _listener.DisposeAsync();
    }

    [Fact]
    public async Task An_event_is_accepted_and_returned()
    {
        Assert.Equal(204, await PostAsync("""{"type":"batch.completed","data":{"id":"b1"}}"""));
        WebhookEvent received = await NextAsync(_listener);
        Assert.Equal(("b1", "batch.completed", false), (received.BatchId, received.Type, received.IsVerified));
    }

    [Fact]
    public async Task A_duplicate_ID_is_accepted_but_returned_once()
    {
        Assert.Equal(204, await PostAsync("""{"id":"b1"}""", id: "wh_1"));
        Assert.Equal(204, await PostAsync("""{"id":"b1"}""", id: "wh_1"));
        Assert.Equal(204, await PostAsync("""{"id":"b2"}""", id: "wh_2"));
        Assert.Equal("b1", (await NextAsync(_listener)).BatchId);
        Assert.Equal("b2", (await NextAsync(_listener)).BatchId);
    }

    [Theory]
    [InlineData("POST", "/secret/", 204)]
    [InlineData("POST", "/secret", 204)]
    [InlineData("POST", "/secret/below?x=1", 204)]
    [InlineData("POST", "/", 404)]
    [InlineData("POST", "/secrets/", 404)]
    [InlineData("POST", "/SECRET/", 404)]
    [InlineData("GET", "/", 404)]
    [InlineData("GET", "/secret/", 405)]
    [InlineData("PUT", "/secret/", 405)]
    public async Task Method_and_path_are_checked(string method, string path, int status) =>
        Assert.Equal(status, await SendAsync($"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"));

    [Theory]
    [InlineData("nonsense\r\n\r\n", 400)]
    [InlineData("POST /secret/ HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400)]
    [InlineData("POST /secret/ HTTP/1.1\r\nContent-Length: -2\r\n\r\n{}", 400)]
    [InlineData("POST /secret/ HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)]
    [InlineData("POST /secret/ HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413)]
    [InlineData("POST /secret/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", 413)]
    [InlineData("POST /secret/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n", 204)]
    public async Task The_form_of_requests_is_checked(string request, int status) => Assert.Equal(status, await SendAsync(request));

    [Fact]
    public async Task Bodies_and_headers_are_limited()
    {
        Assert.Equal(204, await PostAsync(new string(' ', WebhookListener.MaxBody)));
        Assert.Equal(413, await PostAsync(new string(' ', WebhookListener.MaxBody + 1)));
        Assert.Equal(431, await SendAsync($"POST /secret/ HTTP/1.1\r\nX: {new string('x', 20_000)}\r\n\r\n"));
    }

    [Fact]
    public async Task A_slow_sender_is_refused_and_does_not_delay_others()
    {
        var time = new FakeTime { SkipsWaits = false };
        await using WebhookListener listener = WebhookListener.Start(s_prefix, null, time);
        Task limit = time.NextLimit();
        Task<int> slow = SendAsync("POST /secret/ HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf", listener);
        await limit.WaitAsync(s_patience);
        Assert.Equal(204, await SendAsync("POST /secret/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n", listener));
        time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(408, await slow);
    }

    [Fact]
    public async Task With_a_secret_only_signed_events_are_accepted()
    {
        var signature = new WebhookSignature("whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=");
        await using WebhookListener listener = WebhookListener.Start(s_prefix, signature);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        Assert.Equal(401, await PostAsync("{}", listener: listener));
        Assert.Equal(401, await PostAsync("""{"id":"b1"}""", "wh_1", signature.Sign("wh_1", now, "{}"u8), now, listener));
        // The ID of a refused event is not stored.
        Assert.Equal(204, await PostAsync("""{"id":"b1"}""", "wh_1", signature.Sign("wh_1", now, """{"id":"b1"}"""u8), now, listener));
        WebhookEvent received = await NextAsync(listener);
        Assert.Equal(("b1", "wh_1", true), (received.BatchId, received.Id, received.IsVerified));
    }

    [Fact]
    public async Task A_port_in_use_is_reported_and_is_free_after_the_end()
    {
        WebhookListenException taken = Assert.Throws<WebhookListenException>(() => WebhookListener.Start(_listener.Prefix));
        Assert.Contains(_listener.Prefix.Port.ToString(CultureInfo.InvariantCulture), taken.Message, StringComparison.Ordinal);
        using var idle = new TcpClient();
        await idle.ConnectAsync(IPAddress.Loopback, _listener.Prefix.Port);
        await _listener.DisposeAsync().AsTask().WaitAsync(s_patience);
        await using WebhookListener again = WebhookListener.Start(_listener.Prefix);
        Assert.Equal(_listener.Prefix, again.Prefix);
        await foreach (WebhookEvent _ in _listener.ReadAllAsync())
        {
            Assert.Fail("A closed listener returns no events.");
        }
    }

    [Theory]
    [InlineData("https://127.0.0.1:0/x/")]
    [InlineData("http://example.org:0/x/")]
    [InlineData("/x/")]
    public void An_invalid_prefix_is_refused(string prefix) =>
        Assert.Throws<ArgumentException>(() => WebhookListener.Start(new Uri(prefix, prefix[0] == '/' ? UriKind.Relative : UriKind.Absolute)));

    private static async Task<WebhookEvent> NextAsync(WebhookListener listener)
    {
        using var late = new CancellationTokenSource(s_patience);
        await foreach (WebhookEvent received in listener.ReadAllAsync(late.Token))
        {
            return received;
        }

        throw new InvalidOperationException("The listener was closed.");
    }

    private async Task<int> PostAsync(string body, string? id = null, string? signature = null, DateTimeOffset time = default, WebhookListener? listener = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, (listener ?? _listener).Prefix) { Content = new StringContent(body) };
        if (id is not null)
        {
            request.Headers.Add("Webhook-Id", id);
            request.Headers.Add("Webhook-Timestamp", time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
            request.Headers.Add("Webhook-Signature", signature ?? "none");
        }

        using HttpResponseMessage answer = await _http.SendAsync(request).WaitAsync(s_patience);
        return (int)answer.StatusCode;
    }

    private async Task<int> SendAsync(string request, WebhookListener? listener = null)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, (listener ?? _listener).Prefix.Port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request));
        using var reader = new StreamReader(client.GetStream());
        string? line = await reader.ReadLineAsync().WaitAsync(s_patience);
        return int.Parse(line!.Split(' ')[1], CultureInfo.InvariantCulture);
    }
}
