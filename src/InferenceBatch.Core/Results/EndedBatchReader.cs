using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>
/// Streams the results of a batch that has ended. Reads each of its two files even if the other one cannot be read, and
/// retries if the service shows them late (<see cref="LateVisibility"/>). For one read.
/// </summary>
/// <param name="reader">Reads the lines.</param>
/// <param name="client">The service.</param>
/// <param name="batch">The last known state of the batch.</param>
internal sealed class EndedBatchReader(ResultReader reader, BatchClient client, Batch batch)
{
    private static readonly TimeSpan s_noticeDelay = TimeSpan.FromSeconds(10);

    private readonly ResultFile _output = new();
    private readonly ResultFile _errors = new();
    private readonly LateVisibility _visibility = new(client.Time);
    private long _duplicatesBefore = reader.Duplicates?.Invoke() ?? 0;
    private readonly long _startedAt = client.Time.GetTimestamp();
    private bool _isReported;

    /// <summary>The last known state of the batch.</summary>
    public Batch Batch { get; private set; } = batch;

    /// <summary>Whether at least one file could be opened.</summary>
    public bool HasReadFile => _output.IsOpened || _errors.IsOpened;

    /// <summary>Whether a file was still being written.</summary>
    public bool IsPartial => _output.IsPartial || _errors.IsPartial;

    /// <summary>Why a file cannot be read; null if all can. If neither can, an error that may be temporary takes precedence.</summary>
    public ServiceException? Problem => _errors.Problem is { } problem && (_output.Problem is null || LateVisibility.IsNotFound(problem)) ? problem : _output.Problem;

    /// <summary>Whether the file with the problem is probably not needed, because the other file has a result for each request.</summary>
    public bool IsProblemHarmless => Lines > 0 && IsCovered && (Problem == _output.Problem ? _output : _errors).Lines == 0;

    /// <summary>The number of results so far, without those with a duplicate ID.</summary>
    private long Lines => _output.Lines + _errors.Lines - ((reader.Duplicates?.Invoke() ?? 0) - _duplicatesBefore);

    /// <summary>Whether there is a result for each known request.</summary>
    private bool IsCovered => reader.IsComplete?.Invoke() == true
        || (Batch.RequestCounts.Total > 0 ? Lines >= Batch.RequestCounts.Total : reader.IsComplete is null);

    /// <summary>Whether the service may show more results later.</summary>
    private bool IsLate
    {
        get
        {
            if (IsCovered || IsPartial)
            {
                return false;
            }

            if (Problem is { } problem)
            {
                return LateVisibility.IsNotFound(problem);
            }

            RequestCounts counts = Batch.RequestCounts;
            bool isFileMissing = (Batch.OutputFileId is null && counts.Completed > 0) || (Batch.ErrorFileId is null && counts.Failed > 0);
            // If the requests are not known, a complete file is assumed to contain all results.
            return counts.Done > Lines ? isFileMissing || reader.IsComplete is not null
                : Lines == 0 && reader.IsComplete is not null && BatchOutcome.IsIncomplete(Batch, 0, 1);
        }
    }

    /// <summary>Streams the results. Afterwards, <see cref="Problem"/> says what could not be read.</summary>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>: the key is refused for all files.</exception>
    public async IAsyncEnumerable<BatchResult> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        bool mayWait = LateVisibility.MayHaveLateFiles(client.Time, Batch);
        while (true)
        {
            foreach ((ResultFile file, string? id) in new[] { (_output, Batch.OutputFileId), (_errors, Batch.ErrorFileId == Batch.OutputFileId ? null : Batch.ErrorFileId) })
            {
                await foreach (BatchResult result in ReadAsync(file, id, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }

            if (!mayWait || !IsLate || _visibility.NextWait() is not { } wait)
            {
                yield break;
            }

            if (!_isReported && client.Time.GetElapsedTime(_startedAt) + wait >= s_noticeDelay)
            {
                _isReported = true;
                reader.OnResultsLate?.Invoke(Batch);
            }

            await PauseAsync(TimeSpan.FromMilliseconds(Math.Ceiling(wait.TotalMilliseconds)), cancellationToken).ConfigureAwait(false);
            await RefreshAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reads the lines of a file that were not returned yet.</summary>
    private async IAsyncEnumerable<BatchResult> ReadAsync(ResultFile file, string? id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (id is null || (file.IsRead && file.Id == id))
        {
            yield break;
        }

        if (file.Id != id)
        {
            (file.Id, file.Position) = (id, 0);
        }

        // A file that cannot add a result is tried once only.
        RetryPolicy policy = Lines > 0 && IsCovered ? RetryPolicy.Once : RetryPolicy.Interactive;
        var stream = new ContentStream(client, id, file.Position, policy);
        await using ConfiguredAsyncDisposable closing = stream.ConfigureAwait(false);
        long start = file.Position;
        IAsyncEnumerator<BatchResult> results = reader.ReadAsync(stream, Batch.Id, Batch.Endpoint, () => stream.IsPartial, lines => file.Position = start + lines.NextOffset, cancellationToken)
            .GetAsyncEnumerator(cancellationToken);
        await using ConfiguredAsyncDisposable ending = results.ConfigureAwait(false);
        file.Problem = null;
        while (await MoveAsync(results, file).ConfigureAwait(false))
        {
            file.Lines++;
            yield return results.Current;
        }

        file.IsOpened |= stream.IsOpened;
        file.IsPartial = stream.IsPartial;
        file.IsRead = file.Problem is null;
    }

    private static async ValueTask<bool> MoveAsync(IAsyncEnumerator<BatchResult> results, ResultFile file)
    {
        try
        {
            return await results.MoveNextAsync().ConfigureAwait(false);
        }
        catch (ServiceException exception) when (exception.Kind != ServiceErrorKind.Unauthorized)
        {
            file.Problem = exception;
            return false;
        }
    }

    /// <summary>Waits. Other batches may be read during the wait, and their duplicates must not count for this batch.</summary>
    private async Task PauseAsync(TimeSpan wait, CancellationToken cancellationToken)
    {
        long before = reader.Duplicates?.Invoke() ?? 0;
        Task Delay() => Task.Delay(wait, client.Time, cancellationToken);
        await (reader.Pause?.Invoke(Delay) ?? Delay()).ConfigureAwait(false);
        _duplicatesBefore += (reader.Duplicates?.Invoke() ?? 0) - before;
    }

    /// <summary>Gets the batch again. Complete files are read again only if the missing results cannot be in another file.</summary>
    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        RequestCounts counts = Batch.RequestCounts;
        long inUnnamedFiles = (Batch.OutputFileId is null ? counts.Completed : 0) + (Batch.ErrorFileId is null ? counts.Failed : 0);
        if (Problem is null && (Lines == 0 || counts.Done - Lines > inUnnamedFiles))
        {
            (_output.IsRead, _errors.IsRead) = (false, false);
        }

        Batch = await BatchRefresh.RefreshAsync(client, Batch, cancellationToken).ConfigureAwait(false);
    }

    private sealed class ResultFile
    {
        public string? Id { get; set; }

        /// <summary>The offset of the first line that was not read, in bytes.</summary>
        public long Position { get; set; }

        public long Lines { get; set; }

        public bool IsRead { get; set; }

        public bool IsOpened { get; set; }

        public bool IsPartial { get; set; }

        public ServiceException? Problem { get; set; }
    }
}
