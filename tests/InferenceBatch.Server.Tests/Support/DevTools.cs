using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>A connection to a browser's DevTools: commands, their responses, and events.</summary>
internal sealed class DevTools : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly ClientWebSocket _socket = new();
    private readonly SemaphoreSlim _send = new(1);
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonElement>> _asked = new();
    private readonly ConcurrentDictionary<string, Action<string, JsonElement>> _listeners = new();
    private int _lastId;

    public static async Task<DevTools> ConnectAsync(Uri address)
    {
        var tools = new DevTools();
        tools._socket.Options.Proxy = null;
        await tools._socket.ConnectAsync(address, CancellationToken.None);
        _ = tools.ReadAsync();
        return tools;
    }

    /// <summary>Raised for each event of a session, with its method and parameters.</summary>
    public void Listen(string sessionId, Action<string, JsonElement> onEvent) => _listeners[sessionId] = onEvent;

    public async Task<JsonElement> CallAsync(string method, object? parameters = null, string? sessionId = null)
    {
        int id = Interlocked.Increment(ref _lastId);
        var answer = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        _asked[id] = answer;
        byte[] message = sessionId is null
            ? JsonSerializer.SerializeToUtf8Bytes(new { id, method, @params = parameters ?? new { } })
            : JsonSerializer.SerializeToUtf8Bytes(new { id, method, @params = parameters ?? new { }, sessionId });
        await _send.WaitAsync();
        try
        {
            await _socket.SendAsync(message, WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);
        }
        finally
        {
            _send.Release();
        }

        return await answer.Task.WaitAsync(s_patience);
    }

    public void Dispose()
    {
        _socket.Dispose();
        _send.Dispose();
    }

    private async Task ReadAsync()
    {
        byte[] chunk = new byte[64 * 1024];
        try
        {
            while (true)
            {
                using var message = new MemoryStream();
                ValueWebSocketReceiveResult part;
                do
                {
                    part = await _socket.ReceiveAsync(chunk.AsMemory(), CancellationToken.None);
                    message.Write(chunk.AsSpan(0, part.Count));
                }
                while (!part.EndOfMessage);
                if (part.MessageType == WebSocketMessageType.Close)
                {
                    return;
                }

                Take(JsonDocument.Parse(message.GetBuffer().AsMemory(0, (int)message.Length)).RootElement.Clone());
            }
        }
        catch (Exception exception) when (exception is WebSocketException or ObjectDisposedException or OperationCanceledException)
        {
            foreach (TaskCompletionSource<JsonElement> answer in _asked.Values)
            {
                answer.TrySetException(exception);
            }
        }
    }

    private void Take(JsonElement message)
    {
        if (message.TryGetProperty("id", out JsonElement id))
        {
            if (_asked.TryRemove(id.GetInt32(), out TaskCompletionSource<JsonElement>? answer))
            {
                _ = message.TryGetProperty("error", out JsonElement error)
                    ? answer.TrySetException(new InvalidOperationException(error.GetRawText()))
                    : answer.TrySetResult(message.GetProperty("result"));
            }
        }
        else if (message.TryGetProperty("sessionId", out JsonElement session)
            && _listeners.TryGetValue(session.GetString()!, out Action<string, JsonElement>? listener))
        {
            listener(message.GetProperty("method").GetString()!, message.GetProperty("params"));
        }
    }
}
