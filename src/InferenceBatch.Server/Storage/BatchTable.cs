using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;
using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>The records of batches.</summary>
internal sealed class BatchTable(Database database)
{
    /// <summary>Stores a new batch; returns false if its input file no longer exists.</summary>
    public bool Insert(BatchRecord batch)
    {
        bool hasInput = false;
        database.Write(() =>
        {
            hasInput = database.Files.Find(batch.InputFileId) is not null;
            if (hasInput)
            {
                Add(batch);
            }
        });
        return hasInput;
    }

    private void Add(BatchRecord batch) => database.Execute(
        """
        INSERT INTO batches (id, owner, endpoint, input_file_id, completion_window, metadata, webhook_url, output_expires_after,
            status, total, completed, failed, created_at, expires_at)
        VALUES ($id, $owner, $endpoint, $input_file_id, $completion_window, $metadata, $webhook_url, $output_expires_after,
            $status, 0, 0, 0, $created_at, $expires_at)
        """,
        ("$id", batch.Id),
        ("$owner", batch.Owner),
        ("$endpoint", batch.Endpoint),
        ("$input_file_id", batch.InputFileId),
        ("$completion_window", batch.CompletionWindow),
        ("$metadata", JsonSerializer.Serialize(batch.Metadata)),
        ("$webhook_url", batch.WebhookUrl),
        ("$output_expires_after", (long?)batch.OutputExpiresAfter?.TotalSeconds),
        ("$status", StatusWords.Write(batch.Status)),
        ("$created_at", batch.CreatedAt.ToUnixTimeMilliseconds()),
        ("$expires_at", batch.ExpiresAt.ToUnixTimeMilliseconds()));

    /// <summary>Stores the fields of a batch that can change, its result files, and the event for its end, as one transaction.</summary>
    public void Update(BatchRecord batch, params IReadOnlyList<FileRecord> newFiles) => database.Write(() =>
    {
        foreach (FileRecord file in newFiles)
        {
            database.Files.Insert(file);
        }

        database.Execute(
            """
            UPDATE batches SET status = $status, outcome = $outcome, model = $model, errors = $errors,
                output_file_id = $output_file_id, error_file_id = $error_file_id,
                total = $total, completed = $completed, failed = $failed, usage = $usage,
                in_progress_at = $in_progress_at, finalizing_at = $finalizing_at, completed_at = $completed_at,
                failed_at = $failed_at, expired_at = $expired_at, cancelling_at = $cancelling_at, cancelled_at = $cancelled_at
            WHERE id = $id
            """,
            ("$id", batch.Id),
            ("$status", StatusWords.Write(batch.Status)),
            ("$outcome", batch.Outcome == BatchStatus.Unknown ? null : StatusWords.Write(batch.Outcome)),
            ("$model", batch.Model),
            ("$errors", batch.Errors.Count == 0 ? null : JsonSerializer.Serialize(batch.Errors)),
            ("$output_file_id", batch.OutputFileId),
            ("$error_file_id", batch.ErrorFileId),
            ("$total", batch.Counts.Total),
            ("$completed", batch.Counts.Completed),
            ("$failed", batch.Counts.Failed),
            ("$usage", batch.Usage is null ? null : JsonSerializer.Serialize(batch.Usage)),
            ("$in_progress_at", batch.InProgressAt?.ToUnixTimeMilliseconds()),
            ("$finalizing_at", batch.FinalizingAt?.ToUnixTimeMilliseconds()),
            ("$completed_at", batch.CompletedAt?.ToUnixTimeMilliseconds()),
            ("$failed_at", batch.FailedAt?.ToUnixTimeMilliseconds()),
            ("$expired_at", batch.ExpiredAt?.ToUnixTimeMilliseconds()),
            ("$cancelling_at", batch.CancellingAt?.ToUnixTimeMilliseconds()),
            ("$cancelled_at", batch.CancelledAt?.ToUnixTimeMilliseconds()));
        database.Events.AddFor(batch);
    });

    /// <summary>Stores the progress of a running batch; does not change a batch that has ended.</summary>
    public void UpdateProgress(string id, RequestCounts counts, TokenUsage? usage) => database.Execute(
        "UPDATE batches SET completed = $completed, failed = $failed, usage = $usage WHERE id = $id AND status IN ('in_progress', 'cancelling')",
        ("$id", id),
        ("$completed", counts.Completed),
        ("$failed", counts.Failed),
        ("$usage", usage is null ? null : JsonSerializer.Serialize(usage)));

    /// <summary>Returns a batch of any owner; null if it does not exist.</summary>
    public BatchRecord? Find(string id) =>
        database.Query("SELECT * FROM batches WHERE id = $id", Read, ("$id", id)).FirstOrDefault();

    /// <summary>Returns a page of an owner's batches, newest first; null if <paramref name="after"/> is not the ID of one of them.</summary>
    public List<BatchRecord>? List(string owner, string? after, int limit)
    {
        long? edge = null;
        if (after is not null)
        {
            edge = database.Query(
                "SELECT seq FROM batches WHERE id = $id AND owner = $owner", row => (long?)row.GetInt64(0), ("$id", after), ("$owner", owner)).FirstOrDefault();
            if (edge is null)
            {
                return null;
            }
        }

        return database.Query(
            "SELECT * FROM batches WHERE owner = $owner AND ($edge IS NULL OR seq < $edge) ORDER BY seq DESC LIMIT $limit",
            Read, ("$owner", owner), ("$edge", edge), ("$limit", limit));
    }

    /// <summary>Returns the batches that have not ended, oldest first.</summary>
    public List<BatchRecord> Unfinished() => database.Query(
        "SELECT * FROM batches WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling') ORDER BY seq", Read);

    /// <summary>Whether this file is the input of a batch that has not ended.</summary>
    public bool NeedsInput(string fileId) => database.Query(
        """
        SELECT 1 FROM batches WHERE input_file_id = $id AND status IN ('validating', 'in_progress', 'finalizing', 'cancelling') LIMIT 1
        """,
        row => row.GetInt64(0), ("$id", fileId)).Count > 0;

    private static BatchRecord Read(SqliteDataReader row) => new()
    {
        Id = row.Text("id")!,
        Owner = row.Text("owner")!,
        Endpoint = row.Text("endpoint")!,
        InputFileId = row.Text("input_file_id")!,
        CompletionWindow = row.Text("completion_window")!,
        Metadata = JsonSerializer.Deserialize<Dictionary<string, string>>(row.Text("metadata")!)!,
        WebhookUrl = row.Text("webhook_url"),
        OutputExpiresAfter = row.Integer("output_expires_after") is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        Status = StatusWords.Read(row.Text("status")),
        Outcome = StatusWords.Read(row.Text("outcome")),
        Model = row.Text("model"),
        Errors = row.Text("errors") is { } errors ? JsonSerializer.Deserialize<List<ServiceError>>(errors)! : [],
        OutputFileId = row.Text("output_file_id"),
        ErrorFileId = row.Text("error_file_id"),
        Counts = new RequestCounts(row.Integer("total")!.Value, row.Integer("completed")!.Value, row.Integer("failed")!.Value),
        Usage = row.Text("usage") is { } usage ? JsonSerializer.Deserialize<TokenUsage>(usage) : null,
        CreatedAt = row.Time("created_at")!.Value,
        ExpiresAt = row.Time("expires_at")!.Value,
        InProgressAt = row.Time("in_progress_at"),
        FinalizingAt = row.Time("finalizing_at"),
        CompletedAt = row.Time("completed_at"),
        FailedAt = row.Time("failed_at"),
        ExpiredAt = row.Time("expired_at"),
        CancellingAt = row.Time("cancelling_at"),
        CancelledAt = row.Time("cancelled_at"),
    };
}
