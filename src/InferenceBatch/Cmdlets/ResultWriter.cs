using InferenceBatch.Binding;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Service;
using InferenceBatch.Views;

namespace InferenceBatch.Cmdlets;

/// <summary>Writes results to the pipeline: joined to their requests, filtered by status, and in order if requested. Warns about inconsistencies.</summary>
/// <param name="requests">The requests to join results to; null for none.</param>
/// <param name="ordered">Whether to write results in the order of the requests, after all are there.</param>
/// <param name="statuses">The statuses to write; null for all.</param>
internal sealed class ResultWriter(IRequestSource? requests, bool ordered, ResultStatus[]? statuses) : IDisposable
{
    private static readonly Func<string, object?> s_readValue = JsonValue.ObjectOrArray;

    private readonly ResultSpool? _spool = ordered ? new ResultSpool(requests!.Count, s_readValue) : null;
    private readonly SemaphoreSlim _turn = new(1);
    private ResultJoiner? _joiner;
    private string? _reason;

    /// <summary>Whether some results could not be read. Then no request is reported as missing.</summary>
    public bool IsIncomplete { get; set; }

    private ResultJoiner? Joiner => _joiner ??= requests is null ? null : new ResultJoiner(requests, _spool, s_readValue);

    /// <summary>
    /// Writes the results of a batch, or those so far if it still runs. Returns whether they are complete. Of several concurrent calls, one
    /// reads at a time; a call that waits for late results lets the others read.
    /// </summary>
    public async Task<bool> WriteBatchAsync(BatchClient client, Batch batch, PipelinePump pump, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await WriteInTurnAsync(client, batch, pump, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<bool> WriteInTurnAsync(BatchClient client, Batch batch, PipelinePump pump, CancellationToken cancellationToken)
    {
        using var progress = new ProgressReporter(Messages.Text("Progress.Reading", batch.Id), pump.WriteProgress);
        long lines = 0;
        _spool?.CopyResults(batch.Id, batch.Endpoint);
        ResultReader reader = ReaderFor(pump, batch.Id, wait => LetOthersReadAsync(batch, wait));
        try
        {
            await foreach (BatchResult result in reader.ReadAsync(client, batch, cancellationToken).ConfigureAwait(false))
            {
                lines++;
                progress.Report(lines, batch.RequestCounts.Total, () => Messages.Text("Progress.Results", lines));
                await WriteAsync(result, pump).ConfigureAwait(false);
            }
        }
        catch (ServiceException exception) when (batch.IsFinished && exception.Kind != ServiceErrorKind.Unauthorized)
        {
            // The results read so far are written. Requests without a result get this reason.
            pump.WriteError(ErrorRecords.From(exception, batch.Id));
            _reason ??= Messages.Text("DownloadIncomplete.NotWhole", batch.Id, exception.Message);
            return true;
        }

        batch = reader.LastBatch ?? batch;
        if (reader.UnreadFileError is { } unread)
        {
            pump.WriteWarning(Messages.Text("Warning.FileUnread", batch.Id, unread.Message));
        }

        if (!batch.IsFinished && !reader.HasReadFile)
        {
            pump.WriteError(ErrorRecords.BatchNotFinished(batch));
            return false;
        }

        // A service that reports percentages has no usable counts.
        bool hasCounts = batch.Json.Contains("\"request_counts\"", StringComparison.Ordinal);
        if (reader.IsPartial)
        {
            pump.WriteWarning(hasCounts && batch.RequestCounts.Total > 0
                ? Messages.Text("Warning.ResultsArePartialOf", batch.Id, lines, batch.RequestCounts.Total, ViewText.Status(batch))
                : Messages.Text("Warning.ResultsArePartial", batch.Id, lines, ViewText.Status(batch)));
        }
        else if (hasCounts && batch.RequestCounts.Done > lines)
        {
            string text = Messages.Text("Warning.CountsDiffer", batch.Id, batch.RequestCounts.Done, lines);
            pump.WriteWarning(text);
            _reason ??= text;
        }

        return !reader.IsPartial;
    }

    /// <summary>Writes the results of a file on disk.</summary>
    public async Task<bool> WriteFileAsync(string path, PipelinePump pump, CancellationToken cancellationToken)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1, FileOptions.SequentialScan);
        await using (stream.ConfigureAwait(false))
        {
            _spool?.ReadFrom(path, null);
            await foreach (BatchResult result in ReaderFor(pump, path).ReadAsync(stream, null, cancellationToken).ConfigureAwait(false))
            {
                await WriteAsync(result, pump).ConfigureAwait(false);
            }
        }

        return true;
    }

    /// <summary>Writes the results that were held back, and the missing ones. Warns about duplicate and unknown results.</summary>
    public async Task FinishAsync(PipelinePump pump)
    {
        if (Joiner is not { } joiner)
        {
            return;
        }

        foreach (BatchResult result in joiner.Finish(listMissing: !IsIncomplete, _reason))
        {
            await PostAsync(result, pump).ConfigureAwait(false);
        }

        if (joiner.Duplicates > 0)
        {
            pump.WriteWarning(Messages.Text("Warning.DuplicateResults", joiner.Duplicates));
        }

        if (joiner.Unrequested > 0)
        {
            pump.WriteWarning(Messages.Text("Warning.NotAskedFor", joiner.Unrequested));
        }
    }

    public void Dispose()
    {
        _turn.Dispose();
        _joiner?.Dispose();
        _spool?.Dispose();
        (requests as IDisposable)?.Dispose();
    }

    private ResultReader ReaderFor(PipelinePump pump, string source, Func<Func<Task>, Task>? pause = null) => new(s_readValue)
    {
        Pause = pause,
        IdsOnly = _spool is not null,
        IsComplete = Joiner is null ? null : () => Joiner.Missing == 0,
        Duplicates = Joiner is null ? null : () => Joiner.Duplicates,
        OnResultsLate = batch => pump.WriteWarning(Messages.Text("Warning.ResultsLate", batch.Id)),
        OnBadLine = (line, why) => pump.WriteError(ErrorRecords.Of("DownloadIncomplete", source, line, source, why)),
    };

    private async Task LetOthersReadAsync(Batch batch, Func<Task> wait)
    {
        _turn.Release();
        try
        {
            await wait().ConfigureAwait(false);
        }
        finally
        {
            await _turn.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        }

        _spool?.CopyResults(batch.Id, batch.Endpoint);
    }

    private ValueTask WriteAsync(BatchResult result, PipelinePump pump)
    {
        BatchResult? joined = Joiner is null ? result : Joiner.Take(result);
        return joined is null ? default : PostAsync(joined, pump);
    }

    private ValueTask PostAsync(BatchResult result, PipelinePump pump) =>
        statuses is null || statuses.Contains(result.Status) ? pump.WriteObjectAsync(result) : default;
}
