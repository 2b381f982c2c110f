using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace InferenceBatch.Server.Tests;

/// <summary>If the upstream is unavailable, limits requests or refuses them, no line fails because of it, and the upstream is not flooded.</summary>
public sealed class BackOffTests
{
    private const string All = """{"total":60,"completed":60,"failed":0}""";

    /// <summary>Statuses of a server that loads its model, of proxies in front of a server that is down, and of overloaded servers.</summary>
    [Theory]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    [InlineData(521)]
    [InlineData(529)]
    public async Task An_upstream_that_is_unavailable_at_first_uses_no_attempt(int status)
    {
        int requests = 0;
        JsonElement batch = await RunAsync(
            call => Interlocked.Increment(ref requests) <= 8 ? call.AnswerAsync(status, "<html>", "text/html") : call.OkAsync(),
            new EngineSettings { MaxAttempts = 1 });
        Assert.Equal(All, Counts(batch));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(402)]
    [InlineData(403)]
    [InlineData(407)]
    public async Task An_upstream_that_refuses_every_line_at_first_uses_no_attempt(int status)
    {
        int requests = 0;
        JsonElement batch = await RunAsync(
            call => Interlocked.Increment(ref requests) <= 4 ? call.AnswerAsync(status, "{}") : call.OkAsync(), new EngineSettings { MaxAttempts = 1 });
        Assert.Equal(All, Counts(batch));
    }

    [Theory]
    [InlineData("insufficient_quota")]
    [InlineData("billing_hard_limit_reached")]
    public async Task Lines_wait_while_the_quota_is_exhausted(string code)
    {
        int requests = 0;
        JsonElement batch = await RunAsync(
            call => Interlocked.Increment(ref requests) is > 20 and <= 26
                ? call.AnswerAsync(429, $$$"""{"error":{"message":"no","type":"{{{code}}}","code":"{{{code}}}"}}""") : call.OkAsync(),
            new EngineSettings { MaxAttempts = 1 });
        Assert.Equal(All, Counts(batch));
    }

    /// <summary>After an outage during a run, few lines are sent at first, not as many as before.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData(64)]
    public async Task After_an_outage_few_lines_are_sent_at_first(int? concurrency)
    {
        int requests = 0;
        int atOnce = 0;
        long outage = 0;
        var afterwards = new ConcurrentQueue<int>();
        JsonElement batch = await RunAsync(
            async call =>
            {
                if (Interlocked.Increment(ref requests) == 300)
                {
                    Volatile.Write(ref outage, Stopwatch.GetTimestamp());
                }

                long began = Volatile.Read(ref outage);
                if (began != 0 && Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(1.5))
                {
                    await call.AnswerAsync(503, "{}");
                    return;
                }

                int now = Interlocked.Increment(ref atOnce);
                if (began != 0)
                {
                    afterwards.Enqueue(now);
                }

                await Task.Delay(20);
                Interlocked.Decrement(ref atOnce);
                await call.OkAsync();
            },
            new EngineSettings { MaxAttempts = 1, Concurrency = concurrency }, lines: 600);
        Assert.Equal(600, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
        Assert.All(afterwards.Take(3), now => Assert.InRange(now, 1, 4));
    }

    [Fact]
    public async Task During_an_outage_one_line_at_a_time_is_sent_as_a_probe()
    {
        int requests = 0;
        bool isBack = false;
        JsonElement batch = await RunAsync(
            async call =>
            {
                if (Volatile.Read(ref isBack))
                {
                    await call.OkAsync();
                    return;
                }

                int number = Interlocked.Increment(ref requests);
                await Task.Delay(5);
                Volatile.Write(ref isBack, number >= 70);
                await call.AnswerAsync(503, "{}", headers: ("retry-after-ms", "1"));
            },
            new EngineSettings { MaxAttempts = 1, Concurrency = 64 }, assert: upstream => Assert.InRange(upstream.MostAtOnce, 1, 64));
        Assert.Equal(All, Counts(batch));
        // 64 are in flight when the outage is noticed. The others are probes, one by one.
        Assert.InRange(Volatile.Read(ref requests), 70, 72);
    }

    /// <summary>A probe may be a line that takes minutes, or never ends.</summary>
    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public async Task A_probe_that_hangs_does_not_block_the_other_lines(int status)
    {
        var end = new TaskCompletionSource();
        int bad = 0;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(async call =>
        {
            // Enough failures to hold the lines, then a probe that hangs.
            int number = Interlocked.Increment(ref bad);
            if (number <= 4)
            {
                await call.AnswerAsync(status, "{}", headers: ("retry-after-ms", "1"));
                return;
            }

            if (number == 5)
            {
                await end.Task;
            }

            await call.OkAsync();
        });
        await using TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, Engine = new EngineSettings { Concurrency = 4 } });
        string id = await service.Api.SubmitAsync(Requests.File(30));
        await service.Api.DoneAsync(id, 29);
        end.SetResult();
        Assert.Equal("""{"total":30,"completed":30,"failed":0}""", (await service.Api.EndAsync(id)).GetProperty("request_counts").GetRawText());
    }

    /// <summary>No other line succeeds after the last line, so the models are requested to learn whether the upstream is up.</summary>
    [Theory]
    [InlineData(503, "prompt 7", 4)]
    [InlineData(503, "prompt 60", 4)]
    [InlineData(502, "prompt 1", 4)]
    [InlineData(504, "prompt 30", null)]
    public async Task A_line_that_alone_gets_unavailable_fails_after_its_attempts(int status, string prompt, int? concurrency)
    {
        JsonElement batch = await RunAsync(
            call => call.Prompt == prompt ? call.AnswerAsync(status, """{"error":{"message":"no backend"}}""", headers: ("retry-after-ms", "20")) : call.OkAsync(),
            new EngineSettings { MaxAttempts = 3, Concurrency = concurrency },
            assert: upstream => Assert.InRange(upstream.Attempts[prompt], 3, 8));
        Assert.Equal("""{"total":60,"completed":59,"failed":1}""", Counts(batch));
    }

    [Theory]
    [InlineData(403)]
    public async Task If_single_lines_are_refused_the_refusal_is_their_result(int status)
    {
        JsonElement batch = await RunAsync(
            call => call.Prompt is "prompt 7" or "prompt 33" ? call.AnswerAsync(status, """{"error":{"message":"flagged","code":"content_policy"}}""") : call.OkAsync(),
            new EngineSettings { Concurrency = 4 },
            assert: upstream => Assert.InRange(upstream.Attempts["prompt 7"], 1, 3));
        Assert.Equal("""{"total":60,"completed":58,"failed":2}""", Counts(batch));
    }

    /// <summary>A gateway that lacks the key of one backend. If the list of models requires the key, the key is proven valid.</summary>
    [Theory]
    [InlineData("prompt 7", 4)]
    [InlineData("prompt 60", 4)]
    [InlineData("prompt 60", null)]
    [InlineData("prompt 1", 1)]
    public async Task A_401_for_a_single_line_is_its_result_if_the_key_is_proven_valid(string prompt, int? concurrency)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(
            call => call.Prompt == prompt ? call.AnswerAsync(401, """{"error":{"message":"no backend key"}}""") : call.OkAsync(),
            models: context =>
            {
                context.Response.StatusCode = context.Request.Headers.Authorization == "Bearer right" ? 200 : 401;
                return context.Response.WriteAsync("""{"object":"list","data":[]}""");
            });
        await using TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, UpstreamKey = "right", Engine = new EngineSettings { Concurrency = concurrency } });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(60)));
        Assert.Equal("""{"total":60,"completed":59,"failed":1}""", Counts(batch));
        Assert.InRange(upstream.Attempts[prompt], 5, 8);
    }

    /// <summary>If a key expires while the last lines are in flight, they wait, although the list of models is public.</summary>
    [Theory]
    [InlineData(401)]
    [InlineData(402)]
    public async Task The_last_lines_wait_for_a_key_that_has_expired(int status)
    {
        int refused = 0;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(
            call => call.Prompt is "prompt 59" or "prompt 60" && Interlocked.Increment(ref refused) <= 7 ? call.AnswerAsync(status, "{}") : call.OkAsync(),
            models: context =>
            {
                context.Response.StatusCode = 200;
                return context.Response.WriteAsync("""{"object":"list","data":[]}""");
            });
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        Assert.Equal(All, Counts(await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(60)))));
    }

    /// <summary>If a login expires, lines wait as for a key. An address that never answered is wrong instead (UpstreamTests).</summary>
    [Theory]
    [InlineData(302)]
    [InlineData(307)]
    public async Task Lines_wait_while_an_upstream_redirects_after_answers(int status)
    {
        int requests = 0;
        JsonElement batch = await RunAsync(
            call => Interlocked.Increment(ref requests) is > 20 and <= 26 ? call.AnswerAsync(status, "", headers: ("Location", "http://127.0.0.1:9/login")) : call.OkAsync(),
            new EngineSettings { MaxAttempts = 1 });
        Assert.Equal(All, Counts(batch));
    }

    /// <summary>Several lines in a row that alone are refused or unavailable must not delay the others.</summary>
    [Theory]
    [InlineData(403, 1, 3, 1)]
    [InlineData(403, 20, 24, 1)]
    [InlineData(503, 20, 24, 1)]
    [InlineData(403, 1, 6, null)]
    [InlineData(503, 57, 60, null)]
    public async Task A_few_bad_lines_do_not_delay_the_others(int status, int first, int last, int? concurrency)
    {
        JsonElement batch = await RunAsync(
            call => int.Parse(call.Prompt[7..], System.Globalization.CultureInfo.InvariantCulture) is int number && number >= first && number <= last
                ? call.AnswerAsync(status, "{}", headers: ("retry-after-ms", "20")) : call.OkAsync(),
            new EngineSettings { MaxAttempts = 2, Concurrency = concurrency });
        Assert.Equal(last - first + 1, batch.GetProperty("request_counts").GetProperty("failed").GetInt32());
    }

    /// <summary>If every line gets a 500 for a while, for example because a model cannot be loaded, the lines are not at fault.</summary>
    [Fact]
    public async Task Nothing_but_500_for_a_while_fails_no_line()
    {
        long start = Stopwatch.GetTimestamp();
        JsonElement batch = await RunAsync(
            call => Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(4) ? call.AnswerAsync(500, "{}") : call.OkAsync(), new EngineSettings(), lines: 300);
        Assert.Equal(300, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
    }

    /// <summary>The same at the end of a file, where no other line can show that the upstream is up.</summary>
    [Theory]
    [InlineData(100, 64, 4)]
    [InlineData(100, 64, 12)]
    [InlineData(30, null, 4)]
    public async Task Nothing_but_500_for_the_last_lines_fails_none_of_them(int lines, int? concurrency, double seconds)
    {
        long start = 0;
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(
            async call =>
            {
                await Task.Delay(20);
                if (int.Parse(call.Prompt[7..], System.Globalization.CultureInfo.InvariantCulture) >= lines / 2)
                {
                    Interlocked.CompareExchange(ref start, Stopwatch.GetTimestamp(), 0);
                }

                bool isDown = start != 0 && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(seconds);
                await (isDown ? call.AnswerAsync(500, "{}") : call.OkAsync());
            },
            models: context =>
            {
                context.Response.StatusCode = 200;
                return context.Response.WriteAsync("""{"object":"list","data":[]}""");
            });
        await using TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, Engine = new EngineSettings { Concurrency = concurrency } });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(lines)));
        Assert.Equal(lines, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
    }

    /// <summary>A file in which all lines are bad, or all after a certain one, ends: after a minute of nothing but 500, each line gets its result.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(61)]
    public async Task A_file_of_bad_lines_ends(int first)
    {
        var time = new FakeTime { SkipsWaits = false };
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(
            call => int.Parse(call.Prompt[7..], System.Globalization.CultureInfo.InvariantCulture) < first
                ? call.OkAsync() : call.AnswerAsync(500, """{"error":{"message":"input is too large"}}"""),
            models: context =>
            {
                context.Response.StatusCode = 200;
                return context.Response.WriteAsync("""{"object":"list","data":[]}""");
            });
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address }, time);
        DateTimeOffset start = time.GetUtcNow();
        JsonElement batch = await service.Api.UntilAsync(await service.Api.SubmitAsync(Requests.File(100)), batch =>
        {
            time.Advance(TimeSpan.FromSeconds(0.25));
            return batch.GetProperty("status").GetString() == "completed";
        });
        Assert.Equal($$"""{"total":100,"completed":{{first - 1}},"failed":{{101 - first}}}""", Counts(batch));
        Assert.InRange(time.GetUtcNow() - start, TimeSpan.Zero, TimeSpan.FromMinutes(5));
        if (first == 1)
        {
            Assert.All(upstream.Attempts.Values, attempts => Assert.InRange(attempts, 5, 10));
            Assert.True(time.GetUtcNow() - start >= TimeSpan.FromMinutes(1), "The lines did not wait for an outage of a minute.");
        }
    }

    /// <summary>Many bad lines at the end of a file take only slightly longer than one.</summary>
    [Theory]
    [InlineData(503)]
    [InlineData(529)]
    [InlineData(403)]
    public async Task Many_bad_lines_at_the_end_of_a_file_end_together(int status)
    {
        long start = Stopwatch.GetTimestamp();
        JsonElement batch = await RunAsync(
            call => int.Parse(call.Prompt[7..], System.Globalization.CultureInfo.InvariantCulture) > 35 ? call.AnswerAsync(status, "{}") : call.OkAsync(),
            new EngineSettings { Concurrency = 32 },
            assert: upstream => Assert.All(upstream.Attempts.Values, attempts => Assert.InRange(attempts, 1, 6)));
        Assert.Equal("""{"total":60,"completed":35,"failed":25}""", Counts(batch));
        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, TimeSpan.FromSeconds(20));
    }

    /// <summary>A server whose requests share one context: if more lines are in flight than fit, all of them fail.</summary>
    [Theory]
    [InlineData(1, 64)]
    [InlineData(2, 64)]
    [InlineData(3, 16)]
    public async Task Good_lines_that_fail_together_are_retried_with_fewer_in_flight(int room, int concurrency)
    {
        int active = 0;
        JsonElement batch = await RunAsync(
            async call =>
            {
                Interlocked.Increment(ref active);
                await Task.Delay(30);
                bool isFull = Volatile.Read(ref active) > room;
                Interlocked.Decrement(ref active);
                await (isFull ? call.AnswerAsync(500, """{"error":{"message":"failed to find a memory slot"}}""") : call.OkAsync());
            },
            new EngineSettings { Concurrency = concurrency },
            lines: 120);
        Assert.Equal(120, batch.GetProperty("request_counts").GetProperty("completed").GetInt32());
    }

    /// <summary>If a server requests a pause of an hour but is up again a moment later, no line waits for an hour.</summary>
    [Theory]
    [InlineData(503)]
    [InlineData(500)]
    [InlineData(429)]
    public async Task No_line_waits_longer_than_a_minute(int status)
    {
        var time = new FakeTime { SkipsWaits = false };
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(
            call => call is { Prompt: "prompt 5", Attempt: 1 } ? call.AnswerAsync(status, "{}", headers: ("Retry-After", "3600")) : call.OkAsync());
        await using TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, Engine = new EngineSettings { Concurrency = 1 } }, time);
        DateTimeOffset start = time.GetUtcNow();
        JsonElement batch = await service.Api.UntilAsync(await service.Api.SubmitAsync(Requests.File(12)), batch =>
        {
            time.Advance(TimeSpan.FromSeconds(0.6));
            return batch.GetProperty("status").GetString() == "completed";
        });
        Assert.Equal("""{"total":12,"completed":12,"failed":0}""", Counts(batch));
        Assert.InRange(time.GetUtcNow() - start, TimeSpan.Zero, TimeSpan.FromMinutes(3));
    }

    [Fact]
    public async Task A_response_with_a_byte_order_mark_is_read()
    {
        JsonElement batch = await RunAsync(call => call.AnswerAsync(200, "\uFEFF{\"choices\":[{\"message\":{\"content\":\"x\"}}]}"), new EngineSettings(), lines: 3);
        Assert.Equal("""{"total":3,"completed":3,"failed":0}""", Counts(batch));
    }

    [Fact]
    public async Task Status_501_is_not_retried()
    {
        JsonElement batch = await RunAsync(
            call => call.Prompt == "prompt 5" ? call.AnswerAsync(501, """{"error":{"message":"no embeddings"}}""") : call.OkAsync(),
            new EngineSettings(), assert: upstream => Assert.Equal(1, upstream.Attempts["prompt 5"]));
        Assert.Equal("""{"total":60,"completed":59,"failed":1}""", Counts(batch));
    }

    /// <summary>A line that always gets a 500 does not reduce the number of lines in flight.</summary>
    [Theory]
    [InlineData(500)]
    [InlineData(505)]
    public async Task Lines_that_always_fail_do_not_reduce_the_concurrency(int status)
    {
        int atOnce = 0;
        var seen = new ConcurrentBag<int>();
        JsonElement batch = await RunAsync(
            async call =>
            {
                int now = Interlocked.Increment(ref atOnce);
                // By the second half of the file, twenty lines have failed several times.
                if (int.Parse(call.Prompt.AsSpan("prompt ".Length), CultureInfo.InvariantCulture) > 200)
                {
                    seen.Add(now);
                }

                await Task.Delay(20);
                Interlocked.Decrement(ref atOnce);
                await (call.Prompt.EndsWith('3') ? call.AnswerAsync(status, """{"error":{"message":"input is too large"}}""") : call.OkAsync());
            },
            new EngineSettings { Concurrency = 16 }, lines: 400, assert: upstream =>
                Assert.All(upstream.Attempts.Where(pair => pair.Key.EndsWith('3')), pair => Assert.InRange(pair.Value, 2, 5)));
        Assert.Equal("""{"total":400,"completed":360,"failed":40}""", Counts(batch));
        Assert.InRange(seen.Max(), 12, 16);
    }

    /// <summary>A quota over a sliding second is not flooded.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("1")]
    public async Task A_quota_over_a_sliding_second_is_not_flooded(string? retryAfter)
    {
        var accepted = new Queue<long>();
        JsonElement batch = await RunAsync(
            async call =>
            {
                bool isAccepted;
                lock (accepted)
                {
                    while (accepted.TryPeek(out long first) && Stopwatch.GetElapsedTime(first) > TimeSpan.FromSeconds(1))
                    {
                        accepted.Dequeue();
                    }

                    isAccepted = accepted.Count < 100;
                    if (isAccepted)
                    {
                        accepted.Enqueue(Stopwatch.GetTimestamp());
                    }
                }

                await Task.Delay(isAccepted ? 100 : 0);
                await (isAccepted ? call.OkAsync() : retryAfter is null ? call.AnswerAsync(429, "{}") : call.AnswerAsync(429, "{}", headers: ("Retry-After", retryAfter)));
            },
            new EngineSettings { MaxAttempts = 1 },
            lines: 500,
            assert: upstream => Assert.InRange(upstream.Attempts.Values.Sum(), 500, 2500));
        Assert.Equal("""{"total":500,"completed":500,"failed":0}""", Counts(batch));
    }

    /// <summary>A quota that refills continuously: no line fails.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("1")]
    public async Task No_line_fails_because_of_a_quota(string? retryAfter)
    {
        var bucket = new Bucket(perSecond: 100);
        long start = Stopwatch.GetTimestamp();
        JsonElement batch = await RunAsync(
            call => bucket.Take() ? call.OkAsync()
                : retryAfter is null ? call.AnswerAsync(429, "{}") : call.AnswerAsync(429, "{}", headers: ("Retry-After", retryAfter)),
            new EngineSettings { MaxAttempts = 1 }, lines: 300);
        Assert.Equal("""{"total":300,"completed":300,"failed":0}""", Counts(batch));
        Assert.True(Stopwatch.GetElapsedTime(start) >= TimeSpan.FromSeconds(2.5));
    }

    [Fact]
    public async Task If_every_response_is_429_the_requested_wait_pauses_all_lines()
    {
        var times = new ConcurrentQueue<long>();
        int requests = 0;
        JsonElement batch = await RunAsync(
            call =>
            {
                times.Enqueue(Stopwatch.GetTimestamp());
                return Interlocked.Increment(ref requests) <= 4 ? call.AnswerAsync(429, "{}", headers: ("Retry-After", "2")) : call.OkAsync();
            },
            new EngineSettings { MaxAttempts = 1, Concurrency = 4 });
        Assert.Equal(All, Counts(batch));
        long[] all = [.. times];
        Assert.True(Stopwatch.GetElapsedTime(all[3], all[4]) >= TimeSpan.FromSeconds(1.9), "The pause was too short.");
    }

    [Fact]
    public async Task Retries_are_counted_by_reason()
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call switch
        {
            { Prompt: "prompt 2", Attempt: 1 } => call.AnswerAsync(429, "{}", headers: ("retry-after-ms", "1")),
            { Prompt: "prompt 3", Attempt: <= 2 } => call.AnswerAsync(500, "{}"),
            { Prompt: "prompt 4", Attempt: 1 } => call.Drop(),
            { Prompt: "prompt 5", Attempt: 1 } => call.AnswerAsync(408, "{}"),
            { Prompt: "prompt 6", Attempt: 1 } => call.AnswerAsync(403, "{}"),
            _ => call.OkAsync(),
        });
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address });
        string id = await service.Api.SubmitAsync(Requests.File(60));
        Assert.Equal(All, Counts(await service.Api.EndAsync(id)));
        Assert.Equal(
            """{"rate_limit":1,"server_error":2,"timeout":1,"connection":1,"refused":1}""",
            (await service.Api.GetAsync($"batches/{id}/statistics")).GetProperty("retries").GetRawText());
        Assert.Contains(service.Log.Lines, line => line.Contains($"{id}: 6 retries (429: 1, 5xx: 2, timeout: 1, connection: 1, refused: 1)", StringComparison.Ordinal));
    }

    /// <summary>Gateways send errors with a success status. The code of the error determines the retry. A line that stays bad fails with the error of the gateway.</summary>
    [Theory]
    [InlineData("""{"error":{"code":502,"message":"Provider returned error"}}""", 502, "Provider returned error")]
    [InlineData("""{"error":{"code":400,"message":"bad prompt"}}""", 400, "bad prompt")]
    [InlineData("""{"error":true,"message":"it broke"}""", 502, "it broke")]
    [InlineData("""{"choices":null}""", 502, "choices")]
    [InlineData("""{"choices":[{"finish_reason":"error","message":{"content":"half"}}]}""", 502, "half")]
    [InlineData("""{"object":"response","status":"cancelled","output":[]}""", 502, "cancelled")]
    [InlineData("[1]", 502, "1")]
    [InlineData("""{"detail":"Not authenticated"}""", 502, "Not authenticated")]
    [InlineData("""{"id":"c-1","object":"chat.completion","usage":{"prompt_tokens":3}}""", 502, "c-1")]
    [InlineData("""{"error":"cut \ud83d"}""", 502, "cut")]
    [InlineData("""{"message":"too long","type":"BadRequestError","code":422}""", 422, "too long")]
    public async Task A_success_that_is_not_an_answer_is_a_failed_line(string body, int status, string words)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(call => call.Prompt == "prompt 7" ? call.AnswerAsync(200, body) : call.OkAsync());
        using var folder = new TempFolder();
        string id, error;
        await using (TestService service = await TestService.StartAsync(
            settings => settings with { Upstream = upstream.Address, Engine = new EngineSettings { MaxAttempts = 2 } }, folder: folder))
        {
            id = await service.Api.SubmitAsync(Requests.File(60));
            JsonElement batch = await service.Api.EndAsync(id);
            Assert.Equal("""{"total":60,"completed":59,"failed":1}""", Counts(batch));
            JsonElement line = Assert.Single(await service.Api.LinesAsync(batch.GetProperty("error_file_id")));
            Assert.Equal(status, line.GetProperty("response").GetProperty("status_code").GetInt32());
            error = line.GetRawText();
            Assert.Contains(words, error, StringComparison.Ordinal);
        }

        // A restart reads the same outcome that was counted.
        Assert.False(LineOutcome.ReadResultLine(System.Text.Encoding.UTF8.GetBytes(error), isSuccess: false, out _).IsSuccess);
    }

    [Theory]
    [InlineData("""{"error":{"code":502,"message":"Provider returned error"}}""")]
    [InlineData("""{"error":{"code":"429","message":"slow down"}}""")]
    [InlineData("""{"error":{"type":"overloaded_error","message":"busy"}}""")]
    [InlineData("""{"choices":null}""")]
    public async Task A_success_that_is_not_an_answer_is_retried(string body)
    {
        JsonElement batch = await RunAsync(call => call.Prompt == "prompt 7" && call.Attempt == 1 ? call.AnswerAsync(200, body) : call.OkAsync(), new EngineSettings());
        Assert.Equal(All, Counts(batch));
    }

    private static string Counts(JsonElement batch) => batch.GetProperty("request_counts").GetRawText();

    private static async Task<JsonElement> RunAsync(
        Func<FaultUpstream.Call, Task> answer, EngineSettings engine, int lines = 60, Action<FaultUpstream>? assert = null)
    {
        await using FaultUpstream upstream = await FaultUpstream.StartAsync(answer);
        await using TestService service = await TestService.StartAsync(settings => settings with { Upstream = upstream.Address, Engine = engine });
        JsonElement batch = await service.Api.EndAsync(await service.Api.SubmitAsync(Requests.File(lines)));
        assert?.Invoke(upstream);
        return batch;
    }

    /// <summary>A token bucket with the given rate and a burst of ten.</summary>
    private sealed class Bucket(double perSecond)
    {
        private readonly Lock _gate = new();
        private double _tokens = 10;
        private long _filled = Stopwatch.GetTimestamp();

        public bool Take()
        {
            lock (_gate)
            {
                long now = Stopwatch.GetTimestamp();
                _tokens = Math.Min(10, _tokens + (perSecond * Stopwatch.GetElapsedTime(_filled, now).TotalSeconds));
                _filled = now;
                bool isAccepted = _tokens >= 1;
                _tokens -= isAccepted ? 1 : 0;
                return isAccepted;
            }
        }
    }
}
