using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using InferenceBatch.Support;

namespace InferenceBatch.Wire;

/// <summary>Each test has a secret of its own, because the whole process shares the mask.</summary>
public sealed class SecretMaskTests
{
    private static readonly JsonSerializerOptions[] s_writers =
        [new() { Encoder = JavaScriptEncoder.Default }, new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }];

    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    [Fact]
    public void A_secret_and_any_twelve_characters_of_it_are_masked()
    {
        string secret = NewSecret(48);
        SecretMask.Add(secret);
        Assert.Equal("Incorrect API key provided: ***.", SecretMask.Of($"Incorrect API key provided: {secret}."));
        for (int start = 0; start + 12 <= secret.Length; start++)
        {
            Assert.Equal($"a ***|{start}", SecretMask.Of($"a {secret.Substring(start, 12)}|{start}"));
        }

        Assert.Equal("*** and ***", SecretMask.Of($"{secret} and {secret[..20]}"));
        Assert.Equal("***", SecretMask.Of(secret + secret));
    }

    [Fact]
    public void Eleven_characters_of_a_long_secret_and_other_text_are_unchanged()
    {
        string secret = NewSecret(48);
        SecretMask.Add(secret);
        string text = $"The key {secret[..11]} … {secret[^11..]} of 你好 🙂 is wrong.";
        Assert.Same(text, SecretMask.Of(text));
        Assert.Null(SecretMask.Of((string?)null));
        Assert.Equal("", SecretMask.Of(""));
    }

    public static TheoryData<string, Func<string, string>> Encodings => new()
    {
        { "JSON, least", text => JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text) },
        { "JSON, .NET", text => JavaScriptEncoder.Default.Encode(text) },
        { "JSON, PHP", text => JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text).Replace("/", "\\/", StringComparison.Ordinal) },
        { "JSON, Go", text => text.Replace("\"", "\\\"", StringComparison.Ordinal).Replace("<", "\\u003c", StringComparison.Ordinal).Replace("&", "\\u0026", StringComparison.Ordinal) },
        { "URL", Uri.EscapeDataString },
        { "HTML", WebUtility.HtmlEncode },
        { "base64", text => Convert.ToBase64String(Encoding.UTF8.GetBytes(text)) },
        { "basic authentication", text => Convert.ToBase64String(Encoding.UTF8.GetBytes("me:" + text)) },
        { "basic authentication, longer name", text => Convert.ToBase64String(Encoding.UTF8.GetBytes("you:" + text)) },
    };

    [Theory]
    [MemberData(nameof(Encodings))]
    public void An_encoded_secret_is_masked(string name, Func<string, string> encode)
    {
        string secret = NewSecret(10) + "/+=\"<&é" + NewSecret(10) + "//" + NewSecret(12);
        SecretMask.Add(secret);
        string written = encode(secret);
        string masked = SecretMask.Of($"Bearer {written}!");
        Assert.Contains("***", masked, StringComparison.Ordinal);
        Assert.EndsWith("!", masked, StringComparison.Ordinal);
        // The ends of base64 depend on the adjacent text.
        Assert.True(masked.Length <= 7 + 3 + 1 + 12, $"{name}: {masked}");
    }

    [Fact]
    public void Masked_JSON_is_valid()
    {
        Random random = Seed.For(nameof(Masked_JSON_is_valid));
        for (int round = 0; round < 3000 * Seed.Rounds; round++)
        {
            // The secret may begin with characters that continue an escape sequence, or with an escaped character.
            string secret = "nu00e9"[random.Next(6)..] + (random.Next(2) == 0 ? "\"\\" : "") + NewSecret(14, random) + (random.Next(3) == 0 ? "\\" : "");
            SecretTable table = TableOf(secret);
            string[] parts = ["\n", "é", "\\", "\"", "x", "\u0001", "🙂", "/", secret, secret[..^1], secret[1..], secret[2..14]];
            string text = string.Concat(Enumerable.Range(0, 8).Select(_ => parts[random.Next(parts.Length)]));
            byte[] json = JsonSerializer.SerializeToUtf8Bytes(new { text }, s_writers[random.Next(s_writers.Length)]);
            string written = Encoding.UTF8.GetString(json);
            int length = table.Mask(json);
            string left = BrokenText.ReadString(JsonDocument.Parse(json.AsMemory(0, length)).RootElement.GetProperty("text"));
            AssertNoPart(secret, left, $"{written}; {Seed.Hint}");
        }
    }

    [Fact]
    public void No_part_that_reveals_a_secret_is_left()
    {
        Random random = Seed.For(nameof(No_part_that_reveals_a_secret_is_left));
        string[] secrets = [.. Enumerable.Range(0, 20).Select(_ => NewSecret(random.Next(12, 200), random))];
        SecretTable table = TableOf(secrets);
        for (int round = 0; round < 3000 * Seed.Rounds; round++)
        {
            var text = new StringBuilder();
            while (text.Length < 300)
            {
                string secret = secrets[random.Next(secrets.Length)];
                int start = random.Next(secret.Length - 11);
                text.Append(NewSecret(random.Next(12), random)).Append(secret, start, random.Next(12, secret.Length - start + 1));
            }

            byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
            string left = Encoding.UTF8.GetString(bytes, 0, table.Mask(bytes));
            Array.ForEach(secrets, secret => AssertNoPart(secret, left, $"{text}; {Seed.Hint}"));
        }
    }

    [Theory]
    [InlineData("lm-4711-st", "The key lm-4711-st is wrong", "The key *** is wrong")]
    [InlineData("lm-4711-su", "'lm-4711-su'", "'***'")]
    [InlineData("lm-4711-sv", "alm-4711-sv lm-4711-svb lm-4711-s", "alm-4711-sv lm-4711-svb lm-4711-s")]
    public void A_short_secret_is_masked_only_in_messages_and_as_a_separate_word(string secret, string text, string masked)
    {
        SecretMask.Add(secret);
        Assert.Equal(masked, SecretMask.Of(text));
        Assert.Equal(text, SecretMask.OfJson(text)); // The word may occur in answers.
    }

    [Theory]
    [InlineData("ollama")]
    [InlineData("xxxxxxxxxxxxxxxxxxxxxxxx")]
    [InlineData("----------------")]
    [InlineData("   \t ")]
    [InlineData("")]
    [InlineData(null)]
    public void Short_and_monotonous_values_are_not_secrets(string? text)
    {
        SecretMask.Add(text);
        string said = $"| {text} |-----------------| {text} |";
        Assert.Same(said, SecretMask.Of(said));
    }

    [Theory]
    [InlineData("X-Gateway", "gw-7{0}", "gw-7{0}", true)]
    [InlineData("Authorization", "Bearer {0}", "{0}", true)]
    [InlineData("Proxy-Authorization", "Basic {0}", "{0}", true)]
    [InlineData("Cookie", "a=1; session={0}", "session={0}", true)]
    [InlineData("X-Access-Token", "plain-words-as-a-token-{0}", "plain-words-as-a-token-{0}", true)]
    [InlineData("X-Title", "our-support-{0}@example.org", "our-support-{0}@example.org", false)]
    [InlineData("X-App", "https://app-{0}.example.org/", "https://app-{0}.example.org/", false)]
    public void Values_of_headers_are_masked_in_data_only_if_they_look_secret(string name, string value, string echoed, bool inAnswers)
    {
        string random = NewSecret(20);
        string secret = string.Format(null, echoed, random);
        SecretMask.AddHeader(name, string.Format(null, value, random));
        Assert.DoesNotContain(random, SecretMask.Of($"got {secret} instead"), StringComparison.Ordinal);
        Assert.Equal(!inAnswers, SecretMask.OfJson($"got {secret} instead").Contains(random, StringComparison.Ordinal));
    }

    [Fact]
    public void The_password_of_basic_authentication_is_a_secret()
    {
        string password = NewSecret(20);
        SecretMask.AddHeader("Authorization", "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"alice:{password}")));
        Assert.Equal("alice / ***", SecretMask.Of($"alice / {password}"));
    }

    [Theory]
    [InlineData("Accept", "application/json;profile=4711")]
    [InlineData("User-Agent", "my-client-4711/1.0")]
    [InlineData("HTTP-Referer", "https://shop-4711.example.org")]
    [InlineData("anthropic-version", "2023-06-01-preview")]
    [InlineData("OpenAI-Beta", "assistants=v2;x=4711")]
    public void Headers_that_describe_the_client_are_not_secrets(string name, string value)
    {
        SecretMask.AddHeader(name, value);
        Assert.Equal(value, SecretMask.Of(value));
    }

    [Fact]
    public void Secrets_are_masked_in_exceptions_and_inner_exceptions()
    {
        string secret = NewSecret(30);
        SecretMask.Add(secret);
        var clean = new IOException("the disk", new InvalidOperationException("is full"));
        Assert.Same(clean, SecretMask.Of(clean));
        var tainted = new IOException("the answer", new HttpRequestException("of the line", new FormatException($"'HTTP/9 {secret}'")));
        Exception masked = SecretMask.Of((Exception)tainted);
        Assert.Equal("the answer", masked.Message);
        Assert.Equal("'HTTP/9 ***'", masked.InnerException!.InnerException!.Message);
        Assert.DoesNotContain(secret, masked.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Secrets_can_be_added_during_a_search()
    {
        string first = NewSecret(40);
        SecretTable table = TableOf(first);
        Task adding = Task.Run(() => Enumerable.Range(0, 1000).ToList().ForEach(_ => AddTo(table, NewSecret(40))));
        while (!adding.IsCompleted)
        {
            byte[] text = Encoding.UTF8.GetBytes($"a {first} b");
            Assert.Equal("a *** b", Encoding.UTF8.GetString(text, 0, table.Mask(text)));
        }

        await adding;
    }

    private static SecretTable TableOf(params string[] secrets)
    {
        var table = new SecretTable();
        Array.ForEach(secrets, secret => AddTo(table, secret));
        return table;
    }

    private static void AddTo(SecretTable table, string secret) =>
        SecretForm.Of(secret, SecretMask.Recognizable).ToList().ForEach(table.Add);

    private static void AssertNoPart(string secret, string text, string of)
    {
        for (int start = 0; start + 12 <= secret.Length; start++)
        {
            Assert.False(text.Contains(secret.Substring(start, 12), StringComparison.Ordinal), $"{secret} in {text}, of {of}");
        }
    }

    private static string NewSecret(int length, Random? random = null) =>
        string.Concat(Enumerable.Range(0, length).Select(_ => Alphabet[(random ?? Random.Shared).Next(Alphabet.Length)]));
}
