using InferenceBatch.Model;

namespace InferenceBatch.Wire;

public sealed class PriceTableTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"prices-{Guid.NewGuid():N}.json");

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData("llama-8b", 3, 4)]
    [InlineData("LLAMA-8B", 3, 4)]
    [InlineData("llama-70b", 1, 2)]
    [InlineData("llama", 5, null)]
    [InlineData("gpt", null, null)]
    [InlineData(null, null, null)]
    public void An_exact_name_takes_precedence_over_wildcards_and_the_first_wildcard_over_others(string? model, int? input, int? output)
    {
        PriceTable table = Read("""{ "llama-*": { "input": 1, "output": 2 }, "llama*": { "input": 5 }, "llama-8b": { "input": 3, "output": 4 } }""");
        Assert.Equal(new ModelPrice(input, output), table.PriceOf(model));
    }

    [Fact]
    public void Given_prices_take_precedence()
    {
        PriceTable table = Read("""{ "*": { "input": 1, "output": 2 } }""", new ModelPrice(7, null));
        Assert.Equal(new ModelPrice(7, 2), table.PriceOf("m"));
        Assert.Equal(new ModelPrice(7, null), table.PriceOf(null));
    }

    [Fact]
    public void Comments_and_trailing_commas_are_allowed() =>
        Assert.Equal(0.125m, Read("{ // mine\n \"m\": { \"input\": 0.125, },\n}").PriceOf("m").Input);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"m\": 1}")]
    [InlineData("{\"m\": {\"input\": -1}}")]
    [InlineData("{\"m\": {\"input\": \"0.1\"}}")]
    [InlineData("{\"m\": {\"inputs\": 1}}")]
    [InlineData("{\"m\": {\"input\": 1}")]
    public void The_error_for_an_invalid_file_shows_the_expected_format(string text)
    {
        FormatException exception = Assert.Throws<FormatException>(() => Read(text));
        Assert.Contains(_path, exception.Message, StringComparison.Ordinal);
        Assert.Contains("\"output\": 0.4", exception.Message, StringComparison.Ordinal);
    }

    private PriceTable Read(string text, ModelPrice given = default)
    {
        File.WriteAllText(_path, text);
        return PriceTable.Read(_path, given);
    }
}
