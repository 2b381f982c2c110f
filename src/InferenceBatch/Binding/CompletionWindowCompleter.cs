using System.Collections;
using System.Management.Automation;
using InferenceBatch.Pipeline;
using InferenceBatch.Service;

namespace InferenceBatch.Binding;

/// <summary>Completes the completion windows that the documents of the service at hand name; any other can be typed.</summary>
public sealed class CompletionWindowCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary boundParameters) => ProfileOf(boundParameters).CompletionWindows;

    private static ServiceProfile ProfileOf(IDictionary boundParameters)
    {
        if (Unwrapped(boundParameters["Connection"]) is ServiceConnection connection)
        {
            return connection.Profile;
        }

        string? given = Unwrapped(boundParameters["BaseUri"])?.ToString();
        if (Session.Default is { } session && (given is null || given.TrimEnd('/') == session.BaseUri.AbsoluteUri.TrimEnd('/')))
        {
            return session.Profile;
        }

        return Uri.TryCreate(given ?? Environment.GetEnvironmentVariable(ConnectionResolver.AddressVariable), UriKind.Absolute, out Uri? address)
            ? ServiceProfile.ForAddress(address) : ServiceProfile.InferenceNet;
    }

    private static object? Unwrapped(object? value) => value is PSObject wrapped ? wrapped.BaseObject : value;
}
