using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Service;

namespace InferenceBatch.LocalServer;

/// <summary>A local batch service that runs on this machine.</summary>
/// <param name="Uri">The base address for <c>-BaseUri</c>. It ends in <c>/v1</c>.</param>
/// <param name="ProcessId">The ID of the process.</param>
/// <param name="DataPath">The folder of its files and records.</param>
/// <param name="Upstream">Where it sends the lines: <c>echo</c>, or a base address.</param>
/// <param name="StartedAt">When the process started.</param>
public sealed record BatchServer(Uri Uri, int ProcessId, string DataPath, string Upstream, DateTimeOffset StartedAt)
{
    /// <summary>Returns a connection to the service.</summary>
    internal ServiceConnection Connect(SecureString? apiKey) =>
        new(Uri, ServiceProfile.Local, SecretText.NotEmpty(apiKey));
}
