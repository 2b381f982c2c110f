using System.Text;
using InferenceBatch.Support;

namespace InferenceBatch.Webhooks;

/// <summary>Standard Webhooks, with the test vector that OpenAI publishes.</summary>
public sealed class WebhookSignatureTests
{
    private const string Secret = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=";
    private const string Id = "wh_685c059ae39c8190af8c71ed1022a24d";
    private const long Timestamp = 1750861210;
    private const string Signature = "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=";

    private static readonly byte[] s_body = Encoding.UTF8.GetBytes(
        """{"id": "evt_685c059ae3a481909bdc86819b066fb6", "object": "event", "created_at": 1750861210, "type": "response.completed", "data": {"id": "resp_123"}}""");

    [Fact]
    public void The_published_vector_is_signed_as_published() =>
        Assert.Equal(Signature, new WebhookSignature(Secret).Sign(Id, DateTimeOffset.FromUnixTimeSeconds(Timestamp), s_body));

    [Theory]
    [InlineData(0, true)]
    [InlineData(300, true)]
    [InlineData(-300, true)]
    [InlineData(301, false)]
    [InlineData(-301, false)]
    public void The_published_vector_is_valid_for_300_seconds_either_way(int late, bool isGood) =>
        Assert.Equal(isGood, At(Timestamp + late).Verify(Id, "1750861210", Signature, s_body));

    [Theory]
    [InlineData("v1,AAAA v1a,xyz " + Signature, true)]
    [InlineData(Signature + " v1,no-base64", true)]
    [InlineData("v2,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=", false)]
    [InlineData("gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=", false)]
    [InlineData("v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBZ=", false)]
    [InlineData("v1,", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void One_valid_signature_of_several_is_enough(string? signatures, bool isGood) =>
        Assert.Equal(isGood, At(Timestamp).Verify(Id, "1750861210", signatures, s_body));

    [Theory]
    [InlineData("wh_other", "1750861210")]
    [InlineData(Id, "1750861211")]
    [InlineData(Id, "+1750861210")]
    [InlineData(Id, "1750861210.0")]
    [InlineData(Id, "99999999999999999999")]
    [InlineData(Id, "-9223372036854775808")]
    [InlineData(null, "1750861210")]
    [InlineData(Id, null)]
    public void ID_and_timestamp_are_signed_too(string? id, string? timestamp) =>
        Assert.False(At(Timestamp).Verify(id, timestamp, Signature, s_body));

    [Fact]
    public void A_changed_body_is_refused() => Assert.False(At(Timestamp).Verify(Id, "1750861210", Signature, [.. s_body, (byte)' ']));

    [Theory]
    [InlineData("whsec_not base64!")]
    [InlineData("whsec_")]
    [InlineData("")]
    public void An_invalid_secret_is_refused_and_not_in_the_message(string secret)
    {
        ArgumentException refused = Assert.Throws<ArgumentException>(() => new WebhookSignature(secret));
        Assert.DoesNotContain("not base64!", refused.Message, StringComparison.Ordinal);
    }

    private static WebhookSignature At(long second)
    {
        var time = new FakeTime();
        time.SetClock(DateTimeOffset.FromUnixTimeSeconds(second) - time.GetUtcNow());
        return new WebhookSignature(Secret, time);
    }
}
