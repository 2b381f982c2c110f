using System.Net.Http.Headers;

namespace InferenceBatch.Service;

/// <summary>The service that responds at an address.</summary>
/// <param name="Id">
/// The instance ID of a local service (<c>x-inference-batch-instance</c>). It belongs to the data of the service, and does not
/// change with a restart or another port. Null for other services.
/// </param>
public sealed record ServiceInstance(string? Id)
{
    private const string Header = "x-inference-batch-instance";

    /// <summary>Reads the instance from the headers of a response.</summary>
    internal static ServiceInstance Of(HttpResponseHeaders headers) =>
        new(headers.NonValidated.TryGetValues(Header, out HeaderStringValues ids) ? ids.ToString() : null);
}
