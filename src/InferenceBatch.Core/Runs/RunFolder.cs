using System.Text.RegularExpressions;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>The names of the files in the folder of a run: which folders are a checkpoint, and which files a killed process left behind.</summary>
internal static partial class RunFolder
{
    /// <summary>
    /// Refuses a folder with foreign files. A folder without a complete step in its journal may contain only files that a run
    /// creates before its first step.
    /// </summary>
    /// <exception cref="RunMismatchException">The folder contains other files.</exception>
    public static void ThrowIfForeign(string folder)
    {
        string journal = Path.Combine(folder, RunJournal.FileName);
        bool hasJournal = File.Exists(journal);
        if (hasJournal && RunJournal.HasStep(journal))
        {
            return;
        }

        string? other = Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)!)
            .FirstOrDefault(name => name is not (FolderLock.LockName or FolderLock.OwnerName or RunJournal.FileName) && !(hasJournal && IsRequestFile(name)));
        if (other is not null || (hasJournal && !RunJournal.IsTornStart(journal)))
        {
            throw new RunMismatchException(other is null ? Messages.Text("CheckpointMismatch.OtherJournal", folder) : Messages.Text("CheckpointMismatch.OtherFile", folder, other));
        }
    }

    /// <summary>
    /// Deletes files of a killed process that no step of the journal names: incomplete request files, and unfinished
    /// downloads of parts whose results are on disk. Downloads of other parts are kept, because they are resumed.
    /// </summary>
    /// <param name="folder">The folder of the run.</param>
    /// <param name="parts">The parts in the journal, by name.</param>
    public static void DeleteLeftovers(string folder, IReadOnlyDictionary<string, RunPart> parts)
    {
        foreach (string path in Directory.GetFiles(folder))
        {
            string name = Path.GetFileName(path);
            bool isOrphan = PartName().IsMatch(name) && !parts.ContainsKey(name);
            bool isDone = DownloadName().Match(name) is { Success: true } download
                && (!parts.TryGetValue(download.Groups["part"].Value + ".jsonl", out RunPart? part) || part.IsDownloaded);
            if (isOrphan || isDone || UnfinishedName().IsMatch(name))
            {
                File.Delete(path);
            }
        }
    }

    /// <summary>Whether this is the name of a file with requests, complete or not.</summary>
    private static bool IsRequestFile(string name) => UnfinishedName().IsMatch(name) || PartName().IsMatch(name);

    [GeneratedRegex(@"^\.(part|check|again-\d+)\.jsonl\..+\.tmp$", RegexOptions.CultureInvariant)]
    private static partial Regex UnfinishedName();

    [GeneratedRegex(@"^(part|again-\d+)(-\d+)?\.jsonl$", RegexOptions.CultureInvariant)]
    private static partial Regex PartName();

    [GeneratedRegex(@"^(?<part>(part|again-\d+)(-\d+)?)\.(output|error)\.jsonl\..+\.part$", RegexOptions.CultureInvariant)]
    private static partial Regex DownloadName();
}
