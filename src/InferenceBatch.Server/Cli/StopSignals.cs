using System.Runtime.InteropServices;

namespace InferenceBatch.Server.Cli;

/// <summary>Turns SIGTERM and Ctrl+C into a token, in place of the process's sudden end. A second one ends it at once.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop;
    private readonly PosixSignalRegistration[] _registrations;

    /// <param name="cancellationToken">Stops too.</param>
    /// <param name="withInterrupt">Whether Ctrl+C stops.</param>
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
