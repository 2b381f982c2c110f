using System.Runtime.InteropServices;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Cli;

/// <summary>
/// Parts the service from the terminal that started it: a Ctrl+C there and its end are not for the service, and what it
/// has to say goes to <c>server.log</c> in the data folder. SIGTERM still ends it.
/// </summary>
internal sealed class Detachment : IDisposable
{
    private const long MaxLogBytes = 10 * 1024 * 1024;

    private readonly List<PosixSignalRegistration> _ignored = [];
    private readonly TextWriter _terminal = Console.Error;
    private readonly StreamWriter _log;

    /// <exception cref="IOException">The log cannot be written, or the folder is somebody's own.</exception>
    public Detachment(string dataPath)
    {
        foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGHUP, PosixSignal.SIGQUIT })
        {
            _ignored.Add(PosixSignalRegistration.Create(signal, context => context.Cancel = true));
        }

        DataFolder.RefuseForeign(dataPath);
        DataFolder.MakePrivate(dataPath);
        string path = Path.Combine(dataPath, "server.log");
        if (new FileInfo(path) is { Exists: true, Length: > MaxLogBytes })
        {
            File.Move(path, path + ".1", overwrite: true);
        }

        _log = new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete)) { AutoFlush = true };
        Console.SetError(TextWriter.Synchronized(_log));
    }

    /// <summary>Speaks to the terminal again: the service did not start.</summary>
    public void Undo() => Console.SetError(_terminal);

    /// <summary>Takes the last hold off the terminal, once it was told where the service listens.</summary>
    public static void Complete() => Console.SetOut(Console.Error);

    public void Dispose()
    {
        _ignored.ForEach(registration => registration.Dispose());
        _log.Dispose();
    }
}
