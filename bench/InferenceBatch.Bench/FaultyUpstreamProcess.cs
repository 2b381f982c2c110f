using System.Globalization;
using System.Net.Http.Json;

namespace InferenceBatch.Bench;

/// <summary>A <see cref="FaultyUpstream"/> in a separate process.</summary>
internal sealed class FaultyUpstreamProcess : IDisposable
{
    private static readonly HttpClient s_client = new();

    private readonly Child _process;

    private FaultyUpstreamProcess(Child process, Uri address)
    {
        _process = process;
        Address = address;
    }

    public Uri Address { get; }

    /// <inheritdoc cref="FaultyUpstream.RunAsync"/>
    public static async Task<FaultyUpstreamProcess> StartAsync(UpstreamTrouble trouble, int latencyMilliseconds, double number)
    {
        (Child process, Uri address) = await Child.ServeAsync(
            [Environment.ProcessPath!, "faulty", $"{trouble}", $"{latencyMilliseconds}", number.ToString(CultureInfo.InvariantCulture)]);
        return new FaultyUpstreamProcess(process, address);
    }

    public async Task<UpstreamTally> TallyAsync() => (await s_client.GetFromJsonAsync<UpstreamTally>(new Uri(Address, "tally")))!;

    public void Dispose() => _process.Dispose();
}
