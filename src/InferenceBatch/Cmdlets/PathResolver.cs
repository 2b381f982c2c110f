using System.Collections.ObjectModel;
using System.Management.Automation;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Turns what a person gives as -Path, -LiteralPath or -Destination into full paths of the file system. Each path that
/// cannot be used is an error with the path as its target, non-terminating unless <paramref name="fail"/> makes it otherwise.
/// </summary>
internal sealed class PathResolver(PSCmdlet cmdlet, Action<ErrorRecord>? fail = null)
{
    private const string FileSystem = "FileSystem";

    /// <summary>Whether two full paths are the same, as this system's file systems usually see it.</summary>
    public static StringComparer Comparer { get; } =
        OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal;

    private readonly Action<ErrorRecord> _fail = fail ?? cmdlet.WriteError;

    /// <summary>The existing files the paths name; wildcards and PSDrives count unless they are literal.</summary>
    public IEnumerable<string> Files(IEnumerable<string> paths, bool literal)
    {
        foreach (string path in paths)
        {
            foreach (string resolved in literal ? Literal(path) : Matching(path))
            {
                if (Directory.Exists(resolved))
                {
                    _fail(ErrorRecords.NotAFile(resolved));
                }
                else if (!File.Exists(resolved))
                {
                    _fail(ErrorRecords.FileNotFound(path, resolved));
                }
                else
                {
                    yield return resolved;
                }
            }
        }
    }

    /// <summary>The full path of a file or folder that need not exist; null after an error.</summary>
    public string? Output(string path) => Literal(path) is [var full] ? full : null;

    /// <summary>
    /// The full path of a file to be written, for a command that can do nothing without: the error is terminating when
    /// its folder does not exist, when it is a folder itself, or when it exists and may not be replaced.
    /// </summary>
    public string OutputFile(string path, bool overwrite)
    {
        ErrorRecord? problem = null;
        string full = "";
        try
        {
            full = cmdlet.SessionState.Path.GetUnresolvedProviderPathFromPSPath(path, out ProviderInfo provider, out _);
            full = Target(full);
            problem = provider.Name != FileSystem ? ErrorRecords.NotAFileSystemPath(path, provider.Name)
                : Directory.Exists(full) || IsDevice(full) ? ErrorRecords.NotAFile(full)
                : !Directory.Exists(Path.GetDirectoryName(full)) ? ErrorRecords.FolderNotFound(full)
                : !overwrite && File.Exists(full) ? ErrorRecords.FileExists(full)
                : null;
        }
        catch (RuntimeException exception)
        {
            problem = CannotResolve(path, exception);
        }

        if (problem is not null)
        {
            cmdlet.ThrowTerminatingError(problem);
        }

        return full;
    }

    /// <summary>A link is written through, not replaced.</summary>
    private static string Target(string path) => File.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target ? target.FullName : path;

    /// <summary>A rename over a device would put a file in its place, for everybody on the machine.</summary>
    private static bool IsDevice(string path) => !OperatingSystem.IsWindows() && path.StartsWith("/dev/", StringComparison.Ordinal);

    /// <summary>Opens a file for reading; null after an error, such as for one that may not be read.</summary>
    public FileStream? TryOpen(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _fail(ErrorRecords.From(exception, path));
            return null;
        }
    }

    /// <summary>
    /// The FileInfo of a file as the provider gives it, with all that its view shows; one made with new has no size,
    /// mode or owner there.
    /// </summary>
    public object Item(string fullPath) =>
        cmdlet.InvokeProvider.Item.Get([$"{FileSystem}::{fullPath}"], force: true, literalPath: true)[0];

    private string[] Literal(string path)
    {
        try
        {
            string full = cmdlet.SessionState.Path.GetUnresolvedProviderPathFromPSPath(path, out ProviderInfo provider, out _);
            return IsFileSystem(path, provider) ? [full] : [];
        }
        catch (RuntimeException exception)
        {
            _fail(CannotResolve(path, exception));
            return [];
        }
    }

    private IReadOnlyList<string> Matching(string path)
    {
        if (!WildcardPattern.ContainsWildcardCharacters(path) && !path.Contains('`'))
        {
            return Literal(path);
        }

        try
        {
            Collection<string> found = cmdlet.SessionState.Path.GetResolvedProviderPathFromPSPath(path, out ProviderInfo provider);
            if (!IsFileSystem(path, provider))
            {
                return [];
            }

            if (found.Count == 0)
            {
                _fail(ErrorRecords.NothingMatches(path));
            }

            return found;
        }
        catch (RuntimeException exception)
        {
            _fail(CannotResolve(path, exception));
            return [];
        }
    }

    /// <summary>A drive, provider or folder that does not exist, in PowerShell's own words.</summary>
    private static ErrorRecord CannotResolve(string path, RuntimeException exception) =>
        ErrorRecords.PassOn("FileNotFound", path, exception);

    private bool IsFileSystem(string path, ProviderInfo provider)
    {
        if (provider.Name == FileSystem)
        {
            return true;
        }

        _fail(ErrorRecords.NotAFileSystemPath(path, provider.Name));
        return false;
    }
}
