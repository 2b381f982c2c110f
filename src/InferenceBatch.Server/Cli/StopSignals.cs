using System.Runtime.InteropServices;

namespace InferenceBatch.Server.Cli;

/// <summary>Cancels a token on SIGTERM and Ctrl+C, so that the process can stop cleanly. A second signal ends it at once.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop;
    private readonly PosixSignalRegistration[] _registrations;

    /// <param name="cancellationToken">Also cancels <see cref="Stop"/>.</param>
    /// <param name="withInterrupt">Whether to handle Ctrl+C.</param>
    public StopSignals(CancellationToken cancellationToken, bool withInterrupt = true)
    {
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
            .. withInterrupt ? [PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle)] : Array.Empty<PosixSignalRegistration>(),
        ];
    }

    public CancellationToken Stop => _stop.Token;

    public async Task WaitAsync()
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using CancellationTokenRegistration registration = _stop.Token.Register(stopped.SetResult);
        await stopped.Task;
    }

    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }

        _stop.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        if (!_stop.IsCancellationRequested)
        {
            context.Cancel = true;
            _stop.Cancel();
        }
    }
}
