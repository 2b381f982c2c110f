using System.Runtime.InteropServices;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Cli;

/// <summary>
/// Separates the service from the terminal that started it: it ignores Ctrl+C and hang-up, and writes its log to
/// <c>server.log</c> in the data folder. SIGTERM still stops it.
/// </summary>
internal sealed class Detachment : IDisposable
{
    private const long MaxLogBytes = 10 * 1024 * 1024;

    private readonly List<PosixSignalRegistration> _ignored = [];
    private readonly TextWriter _terminal = Console.Error;
    private readonly StreamWriter _log;

    /// <exception cref="IOException">The log cannot be written, or the folder has other contents.</exception>
    public Detachment(string dataPath)
    {
        foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGHUP, PosixSignal.SIGQUIT })
        {
            _ignored.Add(PosixSignalRegistration.Create(signal, context => context.Cancel = true));
        }

        DataFolder.RefuseOtherContents(dataPath);
        DataFolder.MakePrivate(dataPath);
        string path = Path.Combine(dataPath, "server.log");
        if (new FileInfo(path) is { Exists: true, Length: > MaxLogBytes })
        {
            File.Move(path, path + ".1", overwrite: true);
        }

        _log = new StreamWriter(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete)) { AutoFlush = true };
        Console.SetError(TextWriter.Synchronized(_log));
    }

    /// <summary>Writes errors to the terminal again, because the service did not start.</summary>
    public void Undo() => Console.SetError(_terminal);

    /// <summary>Releases standard output as well. Call it after the address was printed there.</summary>
    public static void Complete() => Console.SetOut(Console.Error);

    public void Dispose()
    {
        _ignored.ForEach(registration => registration.Dispose());
        _log.Dispose();
    }
}
