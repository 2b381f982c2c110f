using System.Collections.ObjectModel;
using System.Management.Automation;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Resolves the values of -Path, -LiteralPath and -Destination to full paths of the file system. Each path that cannot be used is an error
/// with the path as its target. The error is non-terminating, unless <paramref name="fail"/> throws.
/// </summary>
internal sealed class PathResolver(PSCmdlet cmdlet, Action<ErrorRecord>? fail = null)
{
    private const string FileSystem = "FileSystem";

    /// <summary>Compares full paths as the file systems of this operating system usually do.</summary>
    public static StringComparer Comparer { get; } =
        OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal;

    private readonly Action<ErrorRecord> _fail = fail ?? cmdlet.WriteError;

    /// <summary>Returns the existing files for the paths. Wildcards apply unless the paths are literal.</summary>
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

    /// <summary>Returns the full path of a file or folder, which may not exist yet; null after an error.</summary>
    public string? Output(string path) => Literal(path) is [var full] ? full : null;

    /// <summary>
    /// Returns the full path of a file to write. A terminating error if its folder does not exist, if it is a folder, or if it exists and
    /// must not be replaced.
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

    /// <summary>Returns the target of a link, so that the link is not replaced.</summary>
    private static string Target(string path) => File.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target ? target.FullName : path;

    /// <summary>Whether the path is a device. A rename would replace the device with a file, for all users of the machine.</summary>
    private static bool IsDevice(string path) => !OperatingSystem.IsWindows() && path.StartsWith("/dev/", StringComparison.Ordinal);

    /// <summary>Opens a file for reading. Returns null after an error.</summary>
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
    /// Returns the FileInfo of a file from the provider, with all properties that its view shows. The view of a <c>new FileInfo</c> shows
    /// no size, mode or owner.
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

    /// <summary>A drive, provider or folder that does not exist, with PowerShell's message.</summary>
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
