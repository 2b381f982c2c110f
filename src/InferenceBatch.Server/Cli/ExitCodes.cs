namespace InferenceBatch.Server.Cli;

/// <summary>What the process ends with.</summary>
internal static class ExitCodes
{
    public const int Success = 0;

    /// <summary>Some lines failed.</summary>
    public const int LinesFailed = 1;

    /// <summary>Bad input or options, a file that cannot be read or written, or an upstream that is away.</summary>
    public const int BadInput = 2;

    /// <summary>Stopped by Ctrl+C or SIGTERM before the end (128 and SIGINT's number, as shells have it).</summary>
    public const int Interrupted = 130;
}
