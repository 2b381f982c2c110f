using System.Net.Http.Headers;

namespace InferenceBatch.Service;

/// <summary>What answers at an address.</summary>
/// <param name="Id">
/// The identity of a local service (<c>x-inference-batch-instance</c>), which stays with its data across restarts and ports;
/// null where something else answers.
/// </param>
public sealed record ServiceInstance(string? Id)
{
    private const string Header = "x-inference-batch-instance";

    /// <summary>Reads what an answer says of who gave it.</summary>
    internal static ServiceInstance Of(HttpResponseHeaders headers) =>
        new(headers.NonValidated.TryGetValues(Header, out HeaderStringValues ids) ? ids.ToString() : null);
}
