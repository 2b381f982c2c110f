namespace InferenceBatch.Http;

public sealed class LoopbackTests
{
    [Theory]
    [InlineData("http://localhost:8421/v1")]
    [InlineData("http://LOCALHOST/v1")]
    [InlineData("http://localhost./v1")]
    [InlineData("http://a.b.localhost:1")]
    [InlineData("http://a.LocalHost.:1")]
    [InlineData("http://localhost.localdomain")]
    [InlineData("http://ip6-localhost:1")]
    [InlineData("http://127.0.0.1")]
    [InlineData("https://127.255.255.254:9")]
    [InlineData("http://127.1:80")]
    [InlineData("http://0x7f000001")]
    [InlineData("http://2130706433")]
    [InlineData("http://0.0.0.0:8000")]
    [InlineData("http://[::1]:8421/v1")]
    [InlineData("http://[0:0:0:0:0:0:0:1]")]
    [InlineData("http://[::ffff:127.0.0.1]")]
    [InlineData("http://[::ffff:7f01:203]")]
    [InlineData("http://[::]:1")]
    public void An_address_of_this_machine_is_recognized(string address) => Assert.True(Loopback.Is(new Uri(address)));

    [Theory]
    [InlineData("http://example.org")]
    [InlineData("http://localhost.example.org")]
    [InlineData("http://notlocalhost")]
    [InlineData("http://localhost-1:1")]
    [InlineData("http://128.0.0.1")]
    [InlineData("http://127.0.0.1.example.org")]
    [InlineData("http://10.0.0.1")]
    [InlineData("http://192.168.1.2")]
    [InlineData("http://169.254.169.254")]
    [InlineData("http://[::2]")]
    [InlineData("http://[fe80::1]")]
    [InlineData("http://[::ffff:10.0.0.1]")]
    [InlineData("http://[64:ff9b::7f00:1]")]
    public void Another_address_is_not_an_address_of_this_machine(string address) => Assert.False(Loopback.Is(new Uri(address)));
}
