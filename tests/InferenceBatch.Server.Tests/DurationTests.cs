using System.Globalization;

namespace InferenceBatch.Server.Tests;

/// <summary>Durations of options and their defaults in the help.</summary>
public sealed class DurationTests
{
    [Theory]
    [InlineData("0s", 0)]
    [InlineData("1ms", 0.001)]
    [InlineData("1500ms", 1.5)]
    [InlineData("10s", 10)]
    [InlineData("10m", 600)]
    [InlineData("24h", 86_400)]
    [InlineData("25h", 90_000)]
    [InlineData("30d", 2_592_000)]
    public void A_duration_is_written_as_it_is_read(string text, double seconds)
    {
        Assert.Equal(TimeSpan.FromSeconds(seconds), Duration.Parse(text));
        Assert.Equal(text, Duration.Format(TimeSpan.FromSeconds(seconds)));
    }

    [Theory]
    [InlineData("90", 90)]
    [InlineData("1.5h", 5_400)]
    [InlineData("365d", 31_536_000)]
    public void Fractions_and_plain_seconds_are_read(string text, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), Duration.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("soon")]
    [InlineData("-1s")]
    [InlineData("1 s")]
    [InlineData("366d")]
    [InlineData("1e3s")]
    public void Other_texts_are_refused_with_the_value(string text) =>
        Assert.Contains($"'{text}' is not a valid duration", Assert.Throws<FormatException>(() => Duration.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("0", true)]
    [InlineData("007", true)]
    [InlineData("10", true)]
    [InlineData("11", false)]
    [InlineData("", false)]
    [InlineData("-1", false)]
    [InlineData("+1", false)]
    [InlineData(" 1", false)]
    [InlineData("1.0", false)]
    [InlineData("99999999999999999999", false)]
    public void A_whole_number_consists_of_digits_within_the_limits(string text, bool isRead)
    {
        Assert.Equal(isRead, WholeNumber.TryRead(text, 0, 10, out int number));
        if (isRead)
        {
            Assert.Equal(int.Parse(text, CultureInfo.InvariantCulture), number);
        }
    }
}
