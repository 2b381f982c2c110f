using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>A command line as far as it is typed: which service it would call.</summary>
/// <param name="command">The command.</param>
/// <param name="given">The arguments whose values are known without running anything.</param>
internal sealed class TypedCommand(CommandAst? command, IDictionary given)
{
    private static readonly string[] s_placing = ["Connection", "BaseUri", "ApiKey"];

    /// <summary>The profile of the service.</summary>
    public ServiceProfile Profile
    {
        get
        {
            if (Value("Connection") is ServiceConnection connection)
            {
                return connection.Profile;
            }

            _ = Uri.TryCreate(Value("BaseUri")?.ToString(), UriKind.RelativeOrAbsolute, out Uri? address);
            return new ConnectionResolver(Environment.GetEnvironmentVariable).FindProfile(address, SessionMemory.Default) ?? ServiceProfile.InferenceNet;
        }
    }

    /// <summary>The service itself; null when it cannot be told, such as with a key that is still to be computed.</summary>
    public ServiceConnection? Connection
    {
        get
        {
            if (Value("Connection") is ServiceConnection connection)
            {
                return connection;
            }

            string? address = Value("BaseUri")?.ToString();
            Uri? uri = null;
            if (IsOpen() || (address is not null && !Uri.TryCreate(address, UriKind.Absolute, out uri)))
            {
                return null;
            }

            string? key = Value("ApiKey") is SecureString secret ? SecretText.Of(secret) : Value("ApiKey")?.ToString();
            try
            {
                return new ConnectionResolver(Environment.GetEnvironmentVariable).Resolve(uri, string.IsNullOrEmpty(key) ? null : key, null, SessionMemory.Default);
            }
            catch (Exception exception) when (exception is ArgumentException or ServiceException)
            {
                return null;
            }
        }
    }

    /// <summary>Whether something was given that decides where calls go, and is not known yet.</summary>
    private bool IsOpen() => command?.CommandElements.Any(element => element switch
    {
        CommandParameterAst parameter => s_placing.Any(
            name => name.StartsWith(parameter.ParameterName, StringComparison.OrdinalIgnoreCase) && Value(name) is null),
        VariableExpressionAst variable => variable.Splatted,
        _ => false,
    }) == true;

    private object? Value(string name) => given[name] is PSObject wrapped ? wrapped.BaseObject : given[name];
}
