using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using System.Security;
using InferenceBatch.Binding;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Completion;

/// <summary>Determines which service a partly typed command line would call.</summary>
/// <param name="command">The command.</param>
/// <param name="given">The arguments whose values are known without running code.</param>
internal sealed class TypedCommand(CommandAst? command, IDictionary given)
{
    private static readonly string[] s_connectionParameters = ["Connection", "BaseUri", "ApiKey"];

    /// <summary>Gets the profile of the service.</summary>
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

    /// <summary>Gets the connection; null if it is not known, such as with a key that is an expression.</summary>
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
            if (IsUndetermined() || (address is not null && !Uri.TryCreate(address, UriKind.Absolute, out uri)))
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

    /// <summary>Whether the value of a parameter that determines the service is not known yet.</summary>
    private bool IsUndetermined() => command?.CommandElements.Any(element => element switch
    {
        CommandParameterAst parameter => s_connectionParameters.Any(
            name => name.StartsWith(parameter.ParameterName, StringComparison.OrdinalIgnoreCase) && Value(name) is null),
        VariableExpressionAst variable => variable.Splatted,
        _ => false,
    }) == true;

    private object? Value(string name) => given[name] is PSObject wrapped ? wrapped.BaseObject : given[name];
}
