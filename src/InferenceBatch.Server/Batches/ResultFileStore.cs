using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Dispatch;
using InferenceBatch.Server.ResultFiles;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Batches;

/// <summary>
/// The result files of batches: in <c>batches/</c> while a batch runs, in <c>files/</c> after its end. Each step can be repeated
/// after a crash.
/// </summary>
internal sealed class ResultFileStore(DataFolder folder, FileStore files, GroupSync sync)
{
    private const string OutputKind = "output";
    private const string ErrorKind = "error";

    /// <summary>Returns the <c>filename</c> of a result file.</summary>
    public static string NameOf(BatchRecord batch, string fileId) =>
        $"{batch.Id}_{(fileId == batch.OutputFileId ? OutputKind : ErrorKind)}.jsonl";

    /// <summary>Opens the run of a batch with the results so far.</summary>
    /// <exception cref="IOException">A file cannot be opened.</exception>
    /// <exception cref="InvalidDataException">A result file belongs to another batch.</exception>
    public LineRun Open(BatchRecord batch, string input, RequestSpan[] spans)
    {
        var recovered = new RecoveredLines(spans);
        return new LineRun(batch.Endpoint, input, spans, OpenResults(batch, recovered.Add), recovered) { Name = batch.Id };
    }

    /// <summary>Opens only the result files of a batch.</summary>
    /// <inheritdoc cref="Open"/>
    private ResultFilePair OpenResults(BatchRecord batch, Func<int, LineOutcome, bool> onLine) => ResultFilePair.Open(
        batch.Id["batch_".Length..], Current(batch, OutputKind, batch.OutputFileId!), Current(batch, ErrorKind, batch.ErrorFileId!), sync, onLine);

    /// <summary>Returns the path of the <see cref="LineIndex"/> of a running batch.</summary>
    public string IndexOf(BatchRecord batch) => Path.Combine(folder.BatchesPath, batch.Id + ".lines");

    /// <summary>Moves the complete and synced result files to their final paths. Deletes empty ones.</summary>
    public List<FileRecord> Keep(BatchRecord batch, ResultFilePair results, DateTimeOffset now)
    {
        var kept = new List<FileRecord>(2);
        Keep(batch, results.Output, batch.OutputFileId!, now, kept);
        Keep(batch, results.Errors, batch.ErrorFileId!, now, kept);
        folder.Sync(folder.FilesPath);
        folder.Sync(folder.BatchesPath);
        return kept;
    }

    /// <summary>Keeps the results so far of a batch that cannot continue, because they are paid for.</summary>
    /// <exception cref="IOException">The disk is full or failing. The call can be retried.</exception>
    public BatchResults KeepPartialResults(BatchRecord batch, DateTimeOffset now)
    {
        if (batch.OutputFileId is null)
        {
            return new BatchResults([], batch.Counts, null);
        }

        var lines = new HashSet<int>();
        var statistics = new LineStatistics();
        try
        {
            using ResultFilePair results = OpenResults(batch, (line, outcome) =>
            {
                bool isNew = lines.Add(line);
                if (isNew)
                {
                    statistics.Add(line, outcome);
                }

                return isNew;
            });
            results.Sync();
            var counts = new RequestCounts(batch.Counts.Total, statistics.Completed, statistics.Failed);
            return new BatchResults(Keep(batch, results, now), counts, statistics.Usage.ToTokenUsage());
        }
        catch (InvalidDataException)
        {
            return new BatchResults([], batch.Counts, null); // They do not belong to this batch.
        }
    }

    private void Keep(BatchRecord batch, ResultFileWriter file, string fileId, DateTimeOffset now, List<FileRecord> kept)
    {
        if (file.Lines == 0)
        {
            File.Delete(file.Path);
            return;
        }

        string path = files.PathOf(fileId);
        if (file.Path != path)
        {
            File.Move(file.Path, path);
        }

        kept.Add(new FileRecord
        {
            Id = fileId,
            Owner = batch.Owner,
            Name = NameOf(batch, fileId),
            Purpose = "batch_output",
            Bytes = file.Length,
            Lines = file.Lines,
            CreatedAt = now,
            ExpiresAt = now + batch.OutputExpiresAfter,
        });
    }

    /// <summary>After a crash between the rename and the transaction, the file is already at its destination.</summary>
    private string Current(BatchRecord batch, string kind, string fileId)
    {
        string partial = Path.Combine(folder.BatchesPath, $"{batch.Id}.{kind}.partial");
        string final = files.PathOf(fileId);
        return !File.Exists(partial) && File.Exists(final) ? final : partial;
    }
}
