using System.Management.Automation.Runspaces;
using System.Runtime.CompilerServices;
using InferenceBatch.Service;

namespace InferenceBatch.Session;

/// <summary>
/// The default connection of one runspace. Until a runspace chooses one, it has its parent's; what it chooses, and that it
/// disconnects, concerns itself and the runspaces that it starts.
/// </summary>
/// <remarks>
/// PowerShell does not say which runspace has started another. But a thread that is started inherits the execution context
/// of the starting one, with its AsyncLocal values; that holds for ForEach-Object -Parallel, Start-ThreadJob and runspaces
/// made by hand. Where the context says nothing, the parent is the host's runspace, which is the first of its process.
/// </remarks>
internal sealed class SessionScope
{
    private static readonly ConditionalWeakTable<Runspace, SessionScope> s_scopes = [];
    private static readonly AsyncLocal<SessionScope?> s_ofThread = new();
    private static readonly SessionScope s_host = new(null);

    private readonly object _gate = new();
    private readonly SessionScope? _parent;
    private ServiceConnection? _connection;
    private bool _isChosen;

    private SessionScope(SessionScope? parent) => _parent = parent;

    /// <summary>The scope of the runspace that this thread executes.</summary>
    public static SessionScope Current
    {
        get
        {
            if (Runspace.DefaultRunspace is not { } runspace)
            {
                return s_ofThread.Value ?? s_host;
            }

            SessionScope scope = runspace.Id == 1 ? s_host : s_scopes.GetValue(runspace, static _ => new SessionScope(s_ofThread.Value ?? s_host));
            if (s_ofThread.Value != scope)
            {
                s_ofThread.Value = scope;
            }

            return scope;
        }
    }

    /// <summary>The connection; null for none. To set it is to choose, null included.</summary>
    public ServiceConnection? Connection
    {
        get
        {
            lock (_gate)
            {
                return _isChosen ? _connection : _parent?.Connection;
            }
        }

        set
        {
            lock (_gate)
            {
                (_connection, _isChosen) = (value, true);
            }
        }
    }

    /// <summary>Keeps what the parent has now, because a call went there: a background job must not change its service with its parent.</summary>
    public void Keep()
    {
        lock (_gate)
        {
            if (!_isChosen && _parent is not null)
            {
                (_connection, _isChosen) = (_parent.Connection, true);
            }
        }
    }
}
