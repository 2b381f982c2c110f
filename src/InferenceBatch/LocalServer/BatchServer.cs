using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Service;

namespace InferenceBatch.LocalServer;

/// <summary>A local batch service that runs on this machine.</summary>
/// <param name="Uri">Its base address, ending in <c>/v1</c>: what <c>-BaseUri</c> takes.</param>
/// <param name="ProcessId">Its process.</param>
/// <param name="DataPath">The folder that holds its files and records.</param>
/// <param name="Upstream">Where it sends the lines: <c>echo</c>, or a base address.</param>
/// <param name="StartedAt">When its process began.</param>
public sealed record BatchServer(Uri Uri, int ProcessId, string DataPath, string Upstream, DateTimeOffset StartedAt)
{
    /// <summary>A connection to it, with the key where it wants one.</summary>
    internal ServiceConnection Connect(SecureString? apiKey) =>
        new(Uri, ServiceProfile.Local, SecretText.NotEmpty(apiKey));
}
