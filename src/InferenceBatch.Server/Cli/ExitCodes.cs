namespace InferenceBatch.Server.Cli;

/// <summary>The exit codes of the process.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>Some lines failed.</summary>
    public const int LinesFailed = 1;

    /// <summary>The input or an option is invalid, a file cannot be read or written, or the upstream is unavailable.</summary>
    public const int BadInput = 2;

    /// <summary>Ctrl+C or SIGTERM stopped the run (128 plus the number of SIGINT, as in shells).</summary>
    public const int Interrupted = 130;
}
