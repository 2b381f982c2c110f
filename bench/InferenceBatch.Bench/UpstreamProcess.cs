using System.Globalization;

namespace InferenceBatch.Bench;

/// <summary>An <see cref="Upstream"/> in a separate process.</summary>
internal sealed class UpstreamProcess : IDisposable
{
    private static readonly HttpClient s_client = new();

    private readonly Child _process;

    private UpstreamProcess(Child process, Uri address)
    {
        _process = process;
        Address = address;
    }

    public Uri Address { get; }

    public static async Task<UpstreamProcess> StartAsync(int latencyMilliseconds = 0)
    {
        (Child process, Uri address) = await Child.ServeAsync([Environment.ProcessPath!, "upstream", $"{latencyMilliseconds}"]);
        return new UpstreamProcess(process, address);
    }

    /// <summary>Returns the number of requests that it received so far, and the total time in seconds until their answers.</summary>
    public async Task<(long Count, double Seconds)> HeldAsync()
    {
        string[] said = (await s_client.GetStringAsync(new Uri(Address, "held"))).Split(' ');
        return (long.Parse(said[0], CultureInfo.InvariantCulture), double.Parse(said[1], CultureInfo.InvariantCulture));
    }

    public void Dispose() => _process.Dispose();
}
