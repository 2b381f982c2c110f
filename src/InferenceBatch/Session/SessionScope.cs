using System.Management.Automation.Runspaces;
using System.Runtime.CompilerServices;
using InferenceBatch.Service;

namespace InferenceBatch.Session;

/// <summary>
/// The default connection of a runspace. Until a runspace connects or disconnects, it uses the connection of its parent. Connecting and
/// disconnecting affect only the runspace itself and those that it starts.
/// </summary>
/// <remarks>
/// PowerShell does not tell which runspace has started another. But a new thread inherits the execution context of the thread that starts
/// it, with its AsyncLocal values. This works for ForEach-Object -Parallel, Start-ThreadJob and runspaces created by scripts. Without such
/// a value, the parent is the host's runspace, which is the first of its process.
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

    /// <summary>Gets the scope of the runspace of this thread.</summary>
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

    /// <summary>Gets or sets the connection; null for none. Setting it, also to null, ends the use of the parent's connection.</summary>
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

    /// <summary>
    /// Keeps the parent's current connection, because a call used it. The service of a background job must not change when its parent
    /// connects elsewhere.
    /// </summary>
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
