using System.Text.Json;
using InferenceBatch.Server.Tests.Support;

namespace InferenceBatch.Server.Tests;

/// <summary>The page in a real browser: what the user sees, hears and can reach.</summary>
public sealed class PageBrowserTests(Browser browser) : IClassFixture<Browser>
{
    [ChromiumFact]
    public async Task The_list_shows_the_progress_of_batches()
    {
        var release = new TaskCompletionSource();
        await using FaultUpstream upstream = await StartUpstreamAsync(release.Task);
        await using TestService service = await StartAsync(upstream);
        await using BrowserPage page = await browser.OpenAsync(service.Address);
        await page.UntilTextAsync("No batches yet.");

        string id = await service.Api.SubmitAsync(Requests.File(4));
        await page.UntilTextAsync("3 of 4, 1 failed");
        Assert.Equal(id, await page.TextAsync("tbody th a"));
        Assert.Equal("in progress", await page.TextAsync("tbody .status"));
        Assert.Equal("75", (await page.EvaluateAsync("document.querySelector('tbody [role=progressbar]').getAttribute('aria-valuenow')")).GetString());
        await page.UntilTextAsync("1 × bad_thing");
        Assert.Contains("Last error, line 2: The upstream answered 400 Bad Request.", await page.TextAsync("tbody .errors"), StringComparison.Ordinal);

        release.SetResult();
        await page.UntilAsync("document.querySelector('tbody .status').innerText === 'completed'");
        Assert.Equal($"{id} is completed: 4 of 4, 1 failed", await page.TextAsync("[aria-live=polite]"));
        Assert.Contains("took", await page.TextAsync("tbody .pace"), StringComparison.Ordinal);
        AssertClean(page, service);
    }

    [ChromiumFact]
    public async Task The_view_of_a_batch_shows_its_statistics()
    {
        await using FaultUpstream upstream = await StartUpstreamAsync(Task.CompletedTask);
        await using TestService service = await StartAsync(upstream);
        string id = await CreateAsync(service.Api, Requests.File(4), new { project = "nightly" });
        JsonElement batch = await service.Api.EndAsync(id);
        await using BrowserPage page = await browser.OpenAsync(new Uri(service.Address, $"/#/batches/{id}"));
        await page.UntilTextAsync("4 of 4");

        Assert.Equal(id, await page.TextAsync("h1"));
        Assert.Equal(["Created", "Started", "Finalizing", "Completed"], await TextsAsync(page, ".timeline b"));
        Assert.Equal(["bad_thing"], await TextsAsync(page, ".codes th code"));
        Assert.Equal(100, (await page.EvaluateAsync("Number(document.querySelector('.codes rect').getAttribute('width'))")).GetDouble());
        Assert.Equal(["Line 2: bad_thing The upstream answered 400 Bad Request."], await TextsAsync(page, ".errors-last li"));
        // Three answers of 3 tokens in and 2 out.
        Assert.Equal(["2 to 3: 3", "1 to 2: 3"], await TextsAsync(page, ".charts figure + figure rect:not([height='0']) title"));
        Assert.Contains("Median about", await page.TextAsync("figcaption p"), StringComparison.Ordinal);
        Assert.StartsWith("Input tokens: Median about 3, 95 % within 3, largest 3, mean 3, of 3 lines.", (await page.EvaluateAsync(
            "document.querySelectorAll('.chart')[1].getAttribute('aria-label')")).GetString(), StringComparison.Ordinal);
        Assert.Equal(
            new[] { "input_file_id", "output_file_id", "error_file_id" }.Select(name => $"/v1/files/{batch.GetProperty(name).GetString()}/content"),
            await EvaluateListAsync(page, "[...document.querySelectorAll('.files a')].map(link => link.getAttribute('href'))"));
        Assert.Equal(["project", "nightly"], await TextsAsync(page, ".card:last-child .pairs > *"));
        AssertClean(page, service);
    }

    [ChromiumFact]
    public async Task A_failed_batch_and_an_unknown_batch_show_the_reason()
    {
        await using TestService service = await TestService.StartAsync();
        string id = await service.Api.SubmitAsync("no json\n" + Requests.File(1) + "{}\n");
        await service.Api.EndAsync(id);
        await using BrowserPage page = await browser.OpenAsync(new Uri(service.Address, $"/#/batches/{id}"));
        await page.UntilTextAsync("Why it failed");
        Assert.Equal(["1", "invalid_json_line", "This line is not parseable as valid JSON."], (await TextsAsync(page, "td")).Take(3));
        await page.EvaluateAsync("location.hash = '#/batches/batch_none'");
        await page.UntilTextAsync("No batch found with id 'batch_none'.");
    }

    [ChromiumFact]
    public async Task The_page_asks_for_a_key_keeps_it_in_the_tab_and_forgets_it()
    {
        using var downloads = new TempFolder();
        await using TestService service = await TestService.StartAsync(settings => settings with { ApiKeys = ["key-1", "key-2"] });
        using var api = new ApiCaller(service.Address, "key-1");
        string id = await api.SubmitAsync(Requests.File(1));
        string output = (await api.EndAsync(id)).GetProperty("output_file_id").GetString()!;
        await using BrowserPage page = await browser.OpenAsync(service.Address, downloads: downloads.Path);
        await page.UntilTextAsync("This service requires an API key");
        Assert.DoesNotContain(id, await page.TextAsync("body"), StringComparison.Ordinal);

        await EnterKeyAsync(page, "key 3");
        await page.UntilTextAsync("A key consists of ASCII characters without spaces.");
        await page.EvaluateAsync("document.getElementById('key').select()");
        await EnterKeyAsync(page, "key-3");
        await page.UntilTextAsync("This key is not valid.");
        await EnterKeyAsync(page, "key-2");
        await page.UntilTextAsync("No batches yet.");
        await page.EvaluateAsync("document.getElementById('forget').click()");
        await page.UntilTextAsync("This service requires an API key");
        Assert.Equal("", await page.TextAsync("#key-problem"));
        await EnterKeyAsync(page, "key-1");
        await page.UntilTextAsync(id);

        await page.ReloadAsync();
        await page.UntilTextAsync(id);
        Assert.Equal("""[["inference-batch-key"],0,""]""", (await page.EvaluateAsync("[Object.keys(sessionStorage), localStorage.length, document.cookie]")).GetRawText());
        Assert.DoesNotContain(page.Requests, address => address.Contains("key-", StringComparison.Ordinal));
        await using (BrowserPage other = await browser.OpenAsync(service.Address))
        {
            await other.UntilTextAsync("This service requires an API key");
        }

        await page.EvaluateAsync($"location.hash = '#/batches/{id}'");
        await page.UntilAsync("document.querySelector('[aria-label=\"Download output\"]')");
        await page.EvaluateAsync("document.querySelector('[aria-label=\"Download output\"]').click()");
        string saved = Path.Combine(downloads.Path, $"{output}.jsonl");
        string content = await api.Http.GetStringAsync($"files/{output}/content");
        for (int i = 0; i < 1000 && !(File.Exists(saved) && new FileInfo(saved).Length == content.Length); i++)
        {
            await Task.Delay(10);
        }

        Assert.Equal(content, await File.ReadAllTextAsync(saved));
        Assert.All(page.Complaints, text => Assert.StartsWith("network: Failed to load resource: the server responded with a status of 401", text, StringComparison.Ordinal));
    }

    [ChromiumFact]
    public async Task Markup_in_names_and_messages_stays_text()
    {
        const string Attack = "<img src=x onerror=alert(1)>";
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.AnswerAsync(
            400, JsonSerializer.Serialize(new { error = new { code = Attack, message = $"{Attack}<script>alert(2)</script>" } })));
        await using TestService service = await StartAsync(upstream);
        string line = Requests.Chat("r-1", "x").Replace("test-model", Attack, StringComparison.Ordinal);
        string id = await CreateAsync(service.Api, line, new Dictionary<string, string> { [Attack] = "</dd><script>alert(3)</script>", ["javascript:alert(4)"] = "\"><svg onload=alert(5)>" });
        await service.Api.EndAsync(id);
        string twice = Requests.Chat(Attack, "x") + "\n";
        string failed = await service.Api.SubmitAsync(twice + twice);
        await service.Api.EndAsync(failed);

        await using BrowserPage page = await browser.OpenAsync(service.Address);
        await page.UntilTextAsync("1 × http_400");
        Assert.Contains(Attack, await page.TextAsync("main"), StringComparison.Ordinal);
        await AssertNoMarkupAsync();
        await page.EvaluateAsync($"location.hash = '#/batches/{id}'");
        await page.UntilTextAsync("</dd><script>alert(3)</script>");
        Assert.Contains("\"><svg onload=alert(5)>", await page.TextAsync("main"), StringComparison.Ordinal);
        await AssertNoMarkupAsync();
        await page.EvaluateAsync($"location.hash = '#/batches/{failed}'");
        await page.UntilTextAsync("Why it failed");
        Assert.Contains(Attack, await page.TextAsync("main"), StringComparison.Ordinal);
        await AssertNoMarkupAsync();
        foreach (string hash in new[] { Attack, "/batches/" + Attack, "/batches/..%2F..%2Ffiles", "/batches/__proto__", "javascript:alert(6)" })
        {
            await page.EvaluateAsync($"location.hash = {JsonSerializer.Serialize(hash)}");
            await page.UntilAsync("document.querySelector('#connection').innerText !== 'Loading …'");
            await AssertNoMarkupAsync();
        }

        Assert.All(page.Complaints, text => Assert.StartsWith("network: Failed to load resource: the server responded with a status of 404", text, StringComparison.Ordinal));
        Assert.All(page.Requests, address => Assert.StartsWith(service.Address.ToString(), address, StringComparison.Ordinal));

        async Task AssertNoMarkupAsync() => Assert.Equal(0, (await page.EvaluateAsync(
            "document.querySelectorAll('main img, main script, main [onload], main [onerror], a[href^=javascript]').length")).GetInt32());
    }

    [ChromiumFact]
    public async Task The_keyboard_reaches_everything_and_a_refresh_keeps_the_focus()
    {
        await using TestService service = await TestService.StartAsync();
        string id = await service.Api.SubmitAsync(Requests.File(1));
        await service.Api.EndAsync(id);
        await using BrowserPage page = await browser.OpenAsync(service.Address);
        await page.UntilTextAsync(id);
        await page.PressAsync("Tab");
        Assert.Equal("InferenceBatch", await FocusedAsync(page));
        await page.PressAsync("Tab");
        Assert.Equal(id, await FocusedAsync(page));
        Assert.True((await page.EvaluateAsync(
            "getComputedStyle(document.activeElement).outlineStyle === 'solid' && parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2")).GetBoolean());

        // A new batch moves the row; the focus stays on its link.
        string second = await service.Api.SubmitAsync(Requests.File(1));
        await page.EvaluateAsync("document.dispatchEvent(new Event('visibilitychange'))");
        await page.UntilTextAsync(second);
        Assert.Equal(id, await FocusedAsync(page));

        await page.PressAsync("Enter");
        await page.UntilAsync("document.activeElement.tagName === 'H1'");
        Assert.Equal(id, await FocusedAsync(page));
        Assert.Equal($"{id} – InferenceBatch", (await page.EvaluateAsync("document.title")).GetString());
        var reached = new List<string>();
        for (int i = 0; i < 7; i++)
        {
            await page.PressAsync("Tab");
            reached.Add(await FocusedAsync(page));
        }

        Assert.Equal(["As a table", "As a table", "As a table", "Download", "Download"], reached.Take(5));
        await page.EvaluateAsync("document.querySelector('h1').focus()");
        await page.PressAsync("Tab", withShift: true);
        Assert.Equal("All batches", await FocusedAsync(page));
        await page.PressAsync("Enter");
        await page.UntilAsync("document.activeElement.tagName === 'H1' && document.activeElement.innerText === 'Batches'");
        Assert.Equal(
            """["columnheader","rowheader","cell",6]""",
            (await page.EvaluateAsync("[...['thead th', 'tbody th', 'tbody td'].map(part => document.querySelector(part).getAttribute('role')), document.querySelectorAll('th[scope=col]').length]")).GetRawText());
        AssertClean(page, service);
    }

    [ChromiumFact]
    public async Task Text_is_readable_in_light_and_dark_and_nothing_is_cut_off_on_a_phone()
    {
        await using FaultUpstream upstream = await StartUpstreamAsync(Task.CompletedTask);
        await using TestService service = await StartAsync(upstream);
        string id = await CreateAsync(service.Api, Requests.File(4), new { project = new string('x', 200) });
        await service.Api.EndAsync(id);
        foreach (bool isDark in new[] { false, true })
        {
            foreach (int width in new[] { 1280, 360 })
            {
                await using BrowserPage page = await browser.OpenAsync(service.Address, width, isDark);
                foreach (string hash in new[] { "#/", $"#/batches/{id}" })
                {
                    await page.EvaluateAsync($"location.hash = '{hash}'");
                    await page.UntilAsync(hash == "#/" ? "document.querySelector('.list .errors code')" : "document.querySelector('.errors-last li')");
                    Assert.Equal(isDark, (await page.EvaluateAsync("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(part => part < 64)")).GetBoolean());
                    // WCAG 2.1, 1.4.3: at least 4.5 to 1.
                    Assert.Empty(await EvaluateListAsync(page, PageScripts.Contrast));
                    Assert.True((await page.EvaluateAsync("document.documentElement.scrollWidth <= document.documentElement.clientWidth")).GetBoolean());
                }

                AssertClean(page, service);
            }
        }
    }

    [ChromiumFact]
    public async Task Show_more_shows_the_next_batches()
    {
        await using TestService service = await TestService.StartAsync();
        string input = await service.Api.UploadAsync(Requests.File(1));
        for (int i = 0; i < 25; i++)
        {
            await service.Api.CreateAsync(input);
        }

        await using BrowserPage page = await browser.OpenAsync(service.Address);
        await page.UntilAsync("document.querySelectorAll('tbody tr').length === 20");
        await page.EvaluateAsync("document.querySelector('.more').click()");
        await page.UntilAsync("document.querySelectorAll('tbody tr').length === 25");
        await page.UntilAsync("document.querySelector('.more').hidden");
        Assert.Equal(25, (await TextsAsync(page, "tbody th a")).Distinct().Count());
        AssertClean(page, service);
    }

    [ChromiumFact]
    public async Task The_page_refreshes_every_second_while_a_batch_runs_and_less_often_otherwise()
    {
        await using TestService service = await TestService.StartAsync();
        await using BrowserPage page = await browser.OpenAsync(service.Address);
        await page.UntilTextAsync("No batches yet.");
        Assert.Equal("""[[1000,1000],[3000,4500,6750,10000,10000,10000,10000],[1000,2000,4000,8000,16000,30000,30000]]""", (await page.EvaluateAsync(PageScripts.Waits)).GetRawText());
        Assert.Equal("""["aborted",1,2]""", (await page.EvaluateAsync(PageScripts.Hidden)).GetRawText());
    }

    [ChromiumFact]
    public async Task An_unavailable_service_is_reported_until_it_is_back()
    {
        using var folder = new TempFolder();
        TestService service = await TestService.StartAsync(folder: folder);
        await using BrowserPage page = await browser.OpenAsync(service.Address);
        await page.UntilTextAsync("Live");
        int port = service.Address.Port;
        await service.DisposeAsync();
        await page.EvaluateAsync("document.dispatchEvent(new Event('visibilitychange'))");
        await page.UntilTextAsync("The service does not respond. Retrying in");
        await using TestService again = await TestService.StartAsync(
            settings => settings with { Addresses = [new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, port)] }, folder: folder);
        await page.UntilTextAsync("Live");
    }

    [ChromiumFact]
    public async Task An_unavailable_upstream_is_reported_until_it_is_back()
    {
        bool isAway = true;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => isAway && call.Prompt != "prompt 1" ? call.AnswerAsync(401, "{}") : call.OkAsync());
        await using TestService service = await StartAsync(upstream);
        string id = await service.Api.SubmitAsync(Requests.File(2));
        await using BrowserPage page = await browser.OpenAsync(service.Address);
        await page.UntilTextAsync("It answers 401: the key is missing or wrong.");
        await page.UntilTextAsync("waiting");
        isAway = false;
        Assert.Equal(2, (await service.Api.EndAsync(id)).GetProperty("request_counts").GetProperty("completed").GetInt32());
        await page.EvaluateAsync("document.dispatchEvent(new Event('visibilitychange'))");
        await page.UntilAsync("document.getElementById('health-issues').hidden");
        AssertClean(page, service);
    }

    private static Task<FaultUpstream> StartUpstreamAsync(Task release) => FaultUpstream.StartAsync(async call =>
    {
        if (call.Prompt == "prompt 4")
        {
            await release;
        }

        await (call.Prompt == "prompt 2" ? call.AnswerAsync(400, """{"error":{"message":"no","code":"bad_thing"}}""") : call.OkAsync());
    });

    private static Task<TestService> StartAsync(FaultUpstream upstream) =>
        TestService.StartAsync(settings => settings with { Upstream = upstream.Address, Engine = new EngineSettings { Concurrency = 1 } });

    private static async Task<string> CreateAsync(ApiCaller api, string jsonl, object metadata)
    {
        using var body = new StringContent(
            JsonSerializer.Serialize(new { input_file_id = await api.UploadAsync(jsonl), endpoint = "/v1/chat/completions", completion_window = "24h", metadata }),
            System.Text.Encoding.UTF8,
            "application/json");
        using HttpResponseMessage response = await api.Http.PostAsync("batches", body);
        return (await ApiCaller.ReadAsync(response, 200)).GetProperty("id").GetString()!;
    }

    private static async Task EnterKeyAsync(BrowserPage page, string key)
    {
        await page.UntilAsync("document.activeElement.id === 'key'");
        await page.TypeAsync(key);
        await page.PressAsync("Enter");
    }

    private static async Task<string> FocusedAsync(BrowserPage page) => (await page.EvaluateAsync("document.activeElement.innerText.trim()")).GetString()!;

    private static Task<List<string>> TextsAsync(BrowserPage page, string selector) => EvaluateListAsync(
        page, $"[...document.querySelectorAll({JsonSerializer.Serialize(selector)})].map(node => (node.innerText ?? node.textContent).trim())");

    private static async Task<List<string>> EvaluateListAsync(BrowserPage page, string expression) =>
        [.. (await page.EvaluateAsync(expression)).EnumerateArray().Select(item => item.GetString()!)];

    /// <summary>Asserts that the browser reported no problems, including violations of the page's policy, and sent requests only to the service.</summary>
    private static void AssertClean(BrowserPage page, TestService service)
    {
        Assert.Empty(page.Complaints);
        Assert.NotEmpty(page.Requests);
        Assert.All(page.Requests, address => Assert.StartsWith(service.Address.ToString(), address, StringComparison.Ordinal));
    }
}
