using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Service;

namespace InferenceBatch.LocalServer;

/// <summary>
/// Keeps a small file for each local service of this user in the user's state folder, so that other shells find the service.
/// <see cref="List"/> deletes the files of processes that have ended.
/// </summary>
internal static class ServerRegistry
{
    /// <summary>Gets the default data folder: that of <c>inference-batch serve</c>, or a temporary folder if the user has no home folder.</summary>
    public static string DefaultDataPath => Path.Combine(StateFolder, "inference-batch");

    private static string RecordFolder => Path.Combine(StateFolder, "InferenceBatch", "servers");

    /// <summary>Gets the user's state folder: on Linux XDG_STATE_HOME or ~/.local/state, elsewhere the local application data.</summary>
    private static string StateFolder
    {
        get
        {
            string? state = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS()
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify)
                : Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } xdg ? xdg
                : Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home ? Path.Combine(home, ".local", "state")
                : null;
            return string.IsNullOrEmpty(state) ? Path.GetTempPath() : state;
        }
    }

    /// <summary>Returns the running services, the oldest first.</summary>
    public static IReadOnlyList<BatchServer> List()
    {
        if (!Directory.Exists(RecordFolder))
        {
            return [];
        }

        var running = new List<BatchServer>();
        foreach (string path in Directory.EnumerateFiles(RecordFolder, "*.json"))
        {
            if (Read(path) is { } server && FindProcess(server) is { } process)
            {
                process.Dispose();
                running.Add(server);
            }
            else
            {
                File.Delete(path);
            }
        }

        running.Sort((first, other) => first.StartedAt.CompareTo(other.StartedAt));
        return running;
    }

    /// <summary>
    /// Returns the port for a service with a data folder: its last port, so that clients find their batches at the same address, else the
    /// documented port. Returns 0, which means any port, if neither is free.
    /// </summary>
    public static int PortFor(string dataPath) =>
        new[] { LastPort(dataPath), ServiceProfile.Local.BaseUri!.Port }.FirstOrDefault(port => port > 0 && IsFree(port));

    /// <summary>Whether a port of this machine is free.</summary>
    public static bool IsFree(int port)
    {
        try
        {
            using var probe = new TcpListener(IPAddress.Loopback, port);
            probe.Start();
            return true;
        }
        catch (Exception exception) when (exception is SocketException or ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Records a service that has just started.</summary>
    /// <exception cref="FileUnwritableException">The record cannot be written.</exception>
    public static void Add(BatchServer server)
    {
        Write(PortPath(server.DataPath), Encoding.ASCII.GetBytes(server.Uri.Port.ToString(CultureInfo.InvariantCulture)));
        Disk.Try(RecordFolder, () => Directory.CreateDirectory(RecordFolder));
        Write(PathOf(server), JsonSerializer.SerializeToUtf8Bytes(server));
    }

    public static void Remove(BatchServer server) => File.Delete(PathOf(server));

    /// <summary>Returns the process of a service; null if it has ended, or another process has its ID now.</summary>
    public static Process? FindProcess(BatchServer server)
    {
        try
        {
            var process = Process.GetProcessById(server.ProcessId);
            if (!process.HasExited && (process.StartTime.ToUniversalTime() - server.StartedAt.UtcDateTime).Duration() < TimeSpan.FromSeconds(2))
            {
                return process;
            }

            process.Dispose();
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // The process has ended, or this user must not inspect it.
        }

        return null;
    }

    /// <summary>Writes a file atomically.</summary>
    private static void Write(string path, byte[] content) => Disk.Try(path, () =>
    {
        string temporary = path + ".tmp";
        try
        {
            File.WriteAllBytes(temporary, content);
            File.Move(temporary, path, overwrite: true);
            return path;
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    });

    private static string PortPath(string dataPath) => Path.Combine(dataPath, "server.port");

    private static int LastPort(string dataPath)
    {
        try
        {
            return int.Parse(File.ReadAllText(PortPath(dataPath)), CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException or OverflowException)
        {
            return 0;
        }
    }

    private static string PathOf(BatchServer server) =>
        Path.Combine(RecordFolder, server.ProcessId.ToString(CultureInfo.InvariantCulture) + ".json");

    private static BatchServer? Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<BatchServer>(File.ReadAllBytes(path));
        }
        catch (Exception exception) when (exception is JsonException or IOException)
        {
            return null;
        }
    }
}
