using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;

namespace InferenceBatch.Server.Tests.Support;

/// <summary>One page in a browser: its content, its network requests, and the problems that the browser reported.</summary>
internal sealed class BrowserPage : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly DevTools _tools;
    private readonly string _contextId;
    private readonly string _sessionId;
    private readonly ConcurrentQueue<string> _complaints = new();
    private readonly ConcurrentQueue<string> _requests = new();

    private BrowserPage(DevTools tools, string contextId, string sessionId)
    {
        _tools = tools;
        _contextId = contextId;
        _sessionId = sessionId;
        tools.Listen(sessionId, Note);
    }

    /// <summary>Console errors, exceptions, dialogs and messages of the browser, such as violations of the security policy.</summary>
    public IReadOnlyCollection<string> Complaints => _complaints;

    /// <summary>The addresses of all requests.</summary>
    public IReadOnlyCollection<string> Requests => _requests;

    public static async Task<BrowserPage> OpenAsync(DevTools tools, Uri address, int width, bool isDark, string? downloads)
    {
        string contextId = (await tools.CallAsync("Target.createBrowserContext")).GetProperty("browserContextId").GetString()!;
        string targetId = (await tools.CallAsync("Target.createTarget", new { url = "about:blank", browserContextId = contextId }))
            .GetProperty("targetId").GetString()!;
        string sessionId = (await tools.CallAsync("Target.attachToTarget", new { targetId, flatten = true })).GetProperty("sessionId").GetString()!;
        var page = new BrowserPage(tools, contextId, sessionId);
        foreach (string domain in new[] { "Page", "Runtime", "Log", "Network" })
        {
            await page.CallAsync($"{domain}.enable");
        }

        await page.CallAsync("Emulation.setDeviceMetricsOverride", new { width, height = 900, deviceScaleFactor = 1, mobile = false });
        await page.CallAsync(
            "Emulation.setEmulatedMedia", new { features = new[] { new { name = "prefers-color-scheme", value = isDark ? "dark" : "light" } } });
        await page.CallAsync("Emulation.setFocusEmulationEnabled", new { enabled = true });
        if (downloads is not null)
        {
            await tools.CallAsync("Browser.setDownloadBehavior", new { behavior = "allow", browserContextId = contextId, downloadPath = downloads });
        }

        await page.CallAsync("Page.navigate", new { url = address.ToString() });
        return page;
    }

    /// <summary>Evaluates an expression in the page, and awaits a promise.</summary>
    public async Task<JsonElement> EvaluateAsync(string expression)
    {
        JsonElement answer = await CallAsync("Runtime.evaluate", new { expression, returnByValue = true, awaitPromise = true });
        Assert.False(answer.TryGetProperty("exceptionDetails", out JsonElement exception), $"{expression}: {exception}");
        return answer.GetProperty("result").TryGetProperty("value", out JsonElement value) ? value : default;
    }

    /// <summary>Returns the text of the first element that matches a selector; "" if there is none.</summary>
    public async Task<string> TextAsync(string selector) =>
        (await EvaluateAsync($"document.querySelector({JsonSerializer.Serialize(selector)})?.innerText ?? ''")).GetString()!;

    /// <summary>Waits until an expression is true in the page.</summary>
    public async Task UntilAsync(string expression)
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (true)
        {
            // An evaluation during navigation throws.
            JsonElement answer = await CallAsync("Runtime.evaluate", new { expression = $"Boolean({expression})", returnByValue = true });
            if (answer.GetProperty("result").TryGetProperty("value", out JsonElement value) && value.ValueKind == JsonValueKind.True)
            {
                return;
            }

            if (patience.IsCancellationRequested)
            {
                string text = await TextAsync("body");
                Assert.Fail($"Never became true: {expression}\n{text}\n{string.Join("\n", _complaints)}");
            }

            await Task.Delay(25);
        }
    }

    /// <summary>Waits until the page shows a text.</summary>
    public Task UntilTextAsync(string text) =>
        UntilAsync($"document.body?.innerText.includes({JsonSerializer.Serialize(text)})");

    public Task TypeAsync(string text) => CallAsync("Input.insertText", new { text });

    public async Task PressAsync(string key, bool withShift = false)
    {
        (int code, string text) = key switch
        {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            _ => throw new ArgumentException(key),
        };
        int modifiers = withShift ? 8 : 0;
        await CallAsync("Input.dispatchKeyEvent", new { type = text.Length == 0 ? "rawKeyDown" : "keyDown", key, code = key, windowsVirtualKeyCode = code, text, modifiers });
        await CallAsync("Input.dispatchKeyEvent", new { type = "keyUp", key, code = key, windowsVirtualKeyCode = code, modifiers });
    }

    public async Task ReloadAsync() => await CallAsync("Page.reload");

    public async ValueTask DisposeAsync() =>
        await _tools.CallAsync("Target.disposeBrowserContext", new { browserContextId = _contextId });

    private Task<JsonElement> CallAsync(string method, object? parameters = null) => _tools.CallAsync(method, parameters, _sessionId);

    private void Note(string method, JsonElement given)
    {
        switch (method)
        {
            case "Network.requestWillBeSent":
                _requests.Enqueue(given.GetProperty("request").GetProperty("url").GetString()!);
                break;
            case "Runtime.exceptionThrown":
                _complaints.Enqueue(given.GetProperty("exceptionDetails").GetRawText());
                break;
            case "Runtime.consoleAPICalled":
                _complaints.Enqueue(given.GetProperty("args").GetRawText());
                break;
            case "Page.javascriptDialogOpening":
                _complaints.Enqueue("a dialog: " + given.GetProperty("message").GetString());
                break;
            case "Log.entryAdded":
                JsonElement entry = given.GetProperty("entry");
                _complaints.Enqueue(string.Create(CultureInfo.InvariantCulture,
                    $"{entry.GetProperty("source").GetString()}: {entry.GetProperty("text").GetString()}"));
                break;
        }
    }
}
