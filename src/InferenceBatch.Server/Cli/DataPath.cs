namespace InferenceBatch.Server.Cli;

/// <summary>Where the service keeps its data unless it is told: the user's state folder.</summary>
internal static class DataPath
{
    /// <summary><c>$XDG_STATE_HOME/inference-batch</c>, else <c>~/.local/state/inference-batch</c>; on Windows and macOS under local application data; null where there is no such folder to be.</summary>
    public static string? Standard
    {
        get
        {
            string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            string state = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS()
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } set ? set
                : home.Length > 0 ? Path.Combine(home, ".local", "state") : "";
            return Path.IsPathRooted(state) ? Path.Combine(state, "inference-batch") : null;
        }
    }
}
