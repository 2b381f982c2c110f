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
/// Which local services this user has started, kept as a small file each in the user's state folder, so that another
/// shell finds them. A record whose process is gone is removed when it is met.
/// </summary>
internal static class ServerRegistry
{
    /// <summary>Where a service keeps its data unless told otherwise: the folder <c>inference-batch serve</c> takes by itself.</summary>
    public static string DefaultDataPath => Path.Combine(StateFolder, "inference-batch");

    private static string RecordFolder => Path.Combine(StateFolder, "InferenceBatch", "servers");

    /// <summary>The user's state folder: XDG_STATE_HOME where that is the custom, else the local application data.</summary>
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

    /// <summary>The services that run, the oldest first.</summary>
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

        running.Sort((one, other) => one.StartedAt.CompareTo(other.StartedAt));
        return running;
    }

    /// <summary>
    /// The port for a service on a data folder: the one that it had last, so that batches known by its address are found
    /// again, else the documented one; 0, for any, where neither is free.
    /// </summary>
    public static int PortFor(string dataPath) =>
        new[] { LastPort(dataPath), ServiceProfile.Local.BaseUri!.Port }.FirstOrDefault(port => port > 0 && IsFree(port));

    /// <summary>Whether a port of this machine can be listened on just now.</summary>
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

    /// <summary>The process of a service; null when it is gone, or its number belongs to another by now.</summary>
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
            // Gone, or not ours.
        }

        return null;
    }

    /// <summary>Writes a file as a whole or not at all.</summary>
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
