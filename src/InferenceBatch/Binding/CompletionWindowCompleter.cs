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

        string? address = Unwrapped(boundParameters["BaseUri"])?.ToString() ?? (Session.Default is null
            ? Environment.GetEnvironmentVariable(ConnectionResolver.AddressVariable) : null);
        return Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) ? ServiceProfile.ForAddress(uri)
            : Session.Default?.Profile ?? ServiceProfile.InferenceNet;
    }

    private static object? Unwrapped(object? value) => value is PSObject wrapped ? wrapped.BaseObject : value;
}
