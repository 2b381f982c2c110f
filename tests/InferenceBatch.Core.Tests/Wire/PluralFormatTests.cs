using System.Globalization;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

public sealed class PluralFormatTests
{
    [Theory]
    [InlineData(1, "1 line is left out")]
    [InlineData(0, "0 lines are left out")]
    [InlineData(2, "2 lines are left out")]
    [InlineData(1234, "1.234 lines are left out")]
    public void Words_agree_with_the_number(int count, string text) =>
        Assert.Equal(text, string.Format(new PluralFormat(CultureInfo.GetCultureInfo("de-DE")), "{0:N0} {0:line is|lines are} left out", count));

    [Theory]
    [InlineData(0.5, "0.5 seconds")]
    [InlineData(1.0, "1 second")]
    [InlineData(90.0, "90 seconds")]
    public void A_fraction_is_plural(double seconds, string text) =>
        Assert.Equal(text, PluralFormat.Invariant($"{seconds:#,0.###} {seconds:second|seconds}"));

    [Fact]
    public void A_value_that_is_not_a_number_is_unchanged() => Assert.Equal("a , true", PluralFormat.Invariant($"{"a"} {null}, {"true"}"));

    [Fact]
    public void Remarks_of_the_validator_use_the_singular_for_one()
    {
        byte[] line = """{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user"}]}}"""u8.ToArray();
        using var file = new MemoryStream([.. line, .. "\r\n\n"u8]);
        BatchFileReport report = new FileValidator(new ValidationRules()).Validate(file, "x.jsonl");
        Assert.Equal(["1 line ends with CR LF instead of LF.", "1 blank line is ignored."], report.Issues.Select(issue => issue.Message));
        Assert.Contains("1 request,", report.ToString(), StringComparison.Ordinal);
    }
}
