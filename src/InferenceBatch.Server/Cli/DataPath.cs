namespace InferenceBatch.Server.Cli;

/// <summary>The default data folder.</summary>
internal static class DataPath
{
    /// <summary>
    /// <c>$XDG_STATE_HOME/inference-batch</c>, otherwise <c>~/.local/state/inference-batch</c>; on Windows and macOS in the folder for
    /// local application data. Null if the user has no home folder.
    /// </summary>
    public static string? Default
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
