using System.Text;

namespace InferenceBatch.Webhooks;

public sealed class WebhookEventTests
{
    [Theory]
    [InlineData("""{"id":"b"}""", "b")]
    [InlineData("""{"batch_id":"b"}""", "b")]
    [InlineData("""{"batchId":"b","id":"other"}""", "b")]
    [InlineData("""{"id":"evt_1","object":"event","data":{"id":"b"}}""", "b")]
    [InlineData("""{"id":"evt_1","data":{"batch_id":"b","id":"other"}}""", "b")]
    [InlineData("""{"id":"evt_1","data":{"batch":{"id":"b"}}}""", "b")]
    [InlineData("""{"id":"evt_1","batch":{"id":"b"}}""", "b")]
    [InlineData("""{"id":"b","object":"batch","metadata":{},"batch_id":"other"}""", "b")]
    [InlineData("""{"id":"evt_1","object":"event"}""", null)]
    [InlineData("""{"data":"x","batch":7,"id":""}""", null)]
    [InlineData("[]", null)]
    [InlineData("done!", null)]
    [InlineData("", null)]
    public void The_batch_is_found_where_services_put_it(string body, string? id)
    {
        WebhookEvent read = WebhookEvent.Read(Encoding.UTF8.GetBytes(body));
        Assert.Equal(id, read.BatchId);
        Assert.Equal(body, read.Json);
    }

    [Fact]
    public void Type_time_and_ID_are_read()
    {
        WebhookEvent read = WebhookEvent.Read(Encoding.UTF8.GetBytes("""{"id":"evt_1","object":"event","type":"batch.completed","created_at":1750861210,"data":{"id":"b"}}"""));
        Assert.Equal(("evt_1", "batch.completed", DateTimeOffset.FromUnixTimeSeconds(1750861210)), (read.Id, read.Type, read.CreatedAt!.Value));
        Assert.Equal("wh_1", WebhookEvent.Read("{}"u8.ToArray(), "wh_1").Id);
    }
}
