using System.Net;
using System.Net.Sockets;
using InferenceBatch.Server.Storage;
using InferenceBatch.Server.Tests.Support;
using InferenceBatch.Server.Webhooks;

namespace InferenceBatch.Server.Tests.Webhooks;

/// <summary>The destinations that webhooks may and may not have.</summary>
public sealed class TargetTests
{
    [Theory]
    [InlineData("8.8.8.8", "Public")]
    [InlineData("93.184.216.34", "Public")]
    [InlineData("172.15.255.255", "Public")]
    [InlineData("172.32.0.0", "Public")]
    [InlineData("100.63.255.255", "Public")]
    [InlineData("100.128.0.0", "Public")]
    [InlineData("223.255.255.255", "Public")]
    [InlineData("2606:4700::1111", "Public")]
    [InlineData("64:ff9b::8.8.8.8", "Public")]
    [InlineData("2002:808:808::1", "Public")]
    [InlineData("::ffff:8.8.8.8", "Public")]
    [InlineData("127.0.0.1", "Internal")]
    [InlineData("127.255.255.254", "Internal")]
    [InlineData("10.0.0.1", "Internal")]
    [InlineData("172.16.0.1", "Internal")]
    [InlineData("172.31.255.255", "Internal")]
    [InlineData("192.168.0.1", "Internal")]
    [InlineData("100.64.0.1", "Internal")]
    [InlineData("198.19.0.1", "Internal")]
    [InlineData("::1", "Internal")]
    [InlineData("fc00::1", "Internal")]
    [InlineData("fdff::1", "Internal")]
    [InlineData("fec0::1", "Internal")]
    [InlineData("::ffff:127.0.0.1", "Internal")]
    [InlineData("::127.0.0.1", "Internal")]
    [InlineData("2002:7f00:1::", "Internal")]
    [InlineData("2002:a00:1::1", "Internal")]
    [InlineData("64:ff9b::192.168.1.1", "Internal")]
    [InlineData("0.0.0.0", "Forbidden")]
    [InlineData("169.254.169.254", "Forbidden")]
    [InlineData("100.100.100.200", "Forbidden")]
    [InlineData("224.0.0.1", "Forbidden")]
    [InlineData("240.0.0.1", "Forbidden")]
    [InlineData("255.255.255.255", "Forbidden")]
    [InlineData("192.0.2.1", "Forbidden")]
    [InlineData("::", "Forbidden")]
    [InlineData("fd00:ec2::254", "Forbidden")]
    [InlineData("fe80::1", "Forbidden")]
    [InlineData("fe80::1%1", "Forbidden")]
    [InlineData("ff02::1", "Forbidden")]
    [InlineData("::ffff:169.254.169.254", "Forbidden")]
    [InlineData("::ffff:0.0.0.0", "Forbidden")]
    [InlineData("2002:a9fe:a9fe::", "Forbidden")]
    [InlineData("64:ff9b::169.254.169.254", "Forbidden")]
    [InlineData("64:ff9b:1::7f00:1", "Forbidden")]
    [InlineData("2001:0:7f00:1::1", "Forbidden")]
    [InlineData("2001:db8::1", "Forbidden")]
    [InlineData("4000::1", "Forbidden")]
    public void Addresses_are_classified(string address, string kind) =>
        Assert.Equal(kind, AddressKinds.Of(IPAddress.Parse(address)).ToString());

    /// <summary>The service does not connect to a public name whose address is this machine.</summary>
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("8.8.8.8,127.0.0.1")]
    public async Task A_name_with_an_internal_address_is_not_connected_to(string addresses)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var targets = new WebhookTargets(allowInsecure: false, (_, _) => Task.FromResult(addresses.Split(',').Select(IPAddress.Parse).ToArray()));
        using var sender = new WebhookSender(new WebhookSettings(), targets, TimeProvider.System);
        DeliveryOutcome outcome = await sender.SendAsync(Event($"https://hooks.example:{((IPEndPoint)listener.LocalEndpoint).Port}/x"), CancellationToken.None);
        Assert.Equal("webhooks to the addresses of 'hooks.example' are not allowed", outcome.Failure);
        Assert.False(listener.Pending());
    }

    /// <summary>The service connects to the address that it checked, and checks again for each connection.</summary>
    [Fact]
    public async Task Dns_rebinding_is_harmless()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync((context, _) =>
        {
            context.Response.Headers.Connection = "close";
            return Task.CompletedTask;
        });
        int port = new Uri(receiver.Url).Port;
        var answers = new Queue<string>(["127.0.0.1", "169.254.169.254", "127.0.0.1"]);
        var targets = new WebhookTargets(allowInsecure: true, (_, _) => Task.FromResult(new[] { IPAddress.Parse(answers.Dequeue()) }));
        using var sender = new WebhookSender(new WebhookSettings(), targets, TimeProvider.System);
        Assert.Null((await sender.SendAsync(Event($"http://hooks.example:{port}/x"), CancellationToken.None)).Failure);
        Assert.Equal(2, answers.Count);
        Assert.NotNull((await sender.SendAsync(Event($"http://hooks.example:{port}/x"), CancellationToken.None)).Failure);
        Assert.Null((await sender.SendAsync(Event($"http://hooks.example:{port}/x"), CancellationToken.None)).Failure);
        Assert.Equal(2, receiver.All.Count);
    }

    [Fact]
    public async Task An_unknown_host_is_a_failure_that_is_retried()
    {
        using var sender = new WebhookSender(
            new WebhookSettings(), new WebhookTargets(false, (_, _) => throw new SocketException((int)SocketError.HostNotFound)), TimeProvider.System);
        DeliveryOutcome outcome = await sender.SendAsync(Event("https://hooks.example/x"), CancellationToken.None);
        Assert.False(outcome.IsFinal);
        Assert.NotNull(outcome.Failure);
    }

    private static EventRecord Event(string url) => new("evt_1", "batch_1", url, "{}"u8.ToArray(), 0);
}
