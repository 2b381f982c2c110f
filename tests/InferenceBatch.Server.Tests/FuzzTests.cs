using System.Text;
using System.Text.Json;
using InferenceBatch.Server.Tests.Support;
using Xunit.Abstractions;

namespace InferenceBatch.Server.Tests;

/// <summary>The batch of any file ends, and every line of a valid file gets exactly one result.</summary>
public sealed class FuzzTests(ITestOutputHelper log)
{
    private static readonly string[] s_bodies =
    [
        """{"model":"m","messages":[{"role":"user","content":"x"}]}""",
        """{"model":"m","messages":[]}""",
        """{"model":"m","messages":7}""",
        """{"model":"m","messages":[null,[],{"role":7},{"role":"user"},{"role":"user","content":{"text":[]}}]}""",
        """{"model":"m","messages":[{"role":"user","content":[[["deep"]],{"text":null},1e999]}]}""",
        """{"model":"m","model":"n","messages":[{"role":"user","role":"user","content":"\ud83d\ude00\u0000"}]}""",
        """{"model":"","messages":null}""",
        """{"model":["m"],"messages":"text"}""",
        """{ "model" : "m" , "messages" : "tabs\tand\\slashes" }""",
    ];

    [Fact]
    public async Task The_batch_of_any_file_ends()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("INFERENCE_BATCH_TEST_SEED"), out int given) ? given : Environment.TickCount;
        int rounds = int.TryParse(Environment.GetEnvironmentVariable("INFERENCE_BATCH_TEST_ROUNDS"), out int factor) ? factor * 20 : 60;
        log.WriteLine($"seed {seed}, {rounds} rounds");
        var dice = new Random(seed);
        await using TestService service = await TestService.StartAsync();
        for (int round = 0; round < rounds; round++)
        {
            byte[] file = Make(dice);
            string id = (await service.Api.CreateAsync(await service.Api.UploadAsync(file))).GetProperty("id").GetString()!;
            JsonElement batch = await service.Api.EndAsync(id);
            if (batch.GetProperty("status").GetString() == "completed")
            {
                JsonElement counts = batch.GetProperty("request_counts");
                Assert.Equal(counts.GetProperty("total").GetInt32(), counts.GetProperty("completed").GetInt32());
                List<JsonElement> lines = await service.Api.LinesAsync(batch.GetProperty("output_file_id"));
                Assert.Equal(counts.GetProperty("total").GetInt32(), lines.Select(line => line.GetProperty("custom_id").GetString()).Distinct().Count());
            }
            else
            {
                Assert.Equal("failed", batch.GetProperty("status").GetString());
                Assert.NotEqual(0, batch.GetProperty("errors").GetProperty("data").GetArrayLength());
                Assert.NotEqual("server_error", batch.GetProperty("errors").GetProperty("data")[0].GetProperty("code").GetString());
            }
        }
    }

    private static byte[] Make(Random dice)
    {
        var text = new StringBuilder();
        for (int i = dice.Next(1, 20); i > 0; i--)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture,
                $$"""{"custom_id":"{{i}}","method":"POST","url":"/v1/chat/completions","body":{{s_bodies[dice.Next(s_bodies.Length)]}}}""");
            text.Append(dice.Next(8) == 0 ? "\r\n\n" : "\n");
        }

        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        for (int i = dice.Next(4) - 1; i > 0; i--)
        {
            bytes[dice.Next(bytes.Length)] = (byte)dice.Next(256);
        }

        return bytes;
    }
}
