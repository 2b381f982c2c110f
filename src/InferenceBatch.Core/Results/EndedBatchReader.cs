using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>
/// Streams the results of one batch that has ended: from whichever of its two files can be read, and again where the
/// service shows them late (<see cref="LateVisibility"/>). For one read.
/// </summary>
/// <param name="reader">Reads the lines.</param>
/// <param name="client">The service.</param>
/// <param name="batch">As the service last described it.</param>
internal sealed class EndedBatchReader(ResultReader reader, BatchClient client, Batch batch)
{
    private static readonly TimeSpan s_waitIsTold = TimeSpan.FromSeconds(10);

    private readonly ResultFile _output = new();
    private readonly ResultFile _errors = new();
    private readonly LateVisibility _visibility = new(client.Time);
    private long _duplicatesBefore = reader.Duplicates?.Invoke() ?? 0;
    private readonly long _began = client.Time.GetTimestamp();
    private bool _isTold;

    /// <summary>The batch as the service described it last.</summary>
    public Batch Batch { get; private set; } = batch;

    /// <summary>Whether a file could be opened.</summary>
    public bool HasReadFile => _output.IsOpened || _errors.IsOpened;

    /// <summary>Whether a file was still being written.</summary>
    public bool IsPartial => _output.IsPartial || _errors.IsPartial;

    /// <summary>Why a file cannot be read; where both cannot, a reason that time may mend comes first. Null when all can.</summary>
    public ServiceException? Problem => _errors.Problem is { } problem && (_output.Problem is null || LateVisibility.IsNotFound(problem)) ? problem : _output.Problem;

    /// <summary>Whether the file with the problem may well hold nothing more: the other one gave a result for each request.</summary>
    public bool IsProblemHarmless => Lines > 0 && IsCovered && (Problem == _output.Problem ? _output : _errors).Lines == 0;

    /// <summary>Results so far; one that repeats another's id answers no other request.</summary>
    private long Lines => _output.Lines + _errors.Lines - ((reader.Duplicates?.Invoke() ?? 0) - _duplicatesBefore);

    /// <summary>Whether there is a result for each request, as far as is known.</summary>
    private bool IsCovered => reader.IsComplete?.Invoke() == true
        || (Batch.RequestCounts.Total > 0 ? Lines >= Batch.RequestCounts.Total : reader.IsComplete is null);

    /// <summary>Whether the service may show more in a while.</summary>
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
            // Where nobody says which requests there are, a file that came whole counts as all there is.
            return counts.Done > Lines ? isFileMissing || reader.IsComplete is not null
                : Lines == 0 && reader.IsComplete is not null && BatchFate.IsShort(Batch, 0, 1);
        }
    }

    /// <summary>Streams the results; <see cref="Problem"/> says afterwards what could not be read.</summary>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.Unauthorized"/>: no other file would fare better.</exception>
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

            if (!_isTold && client.Time.GetElapsedTime(_began) + wait >= s_waitIsTold)
            {
                _isTold = true;
                reader.OnLate?.Invoke(Batch);
            }

            await PauseAsync(TimeSpan.FromMilliseconds(Math.Ceiling(wait.TotalMilliseconds)), cancellationToken).ConfigureAwait(false);
            await RefreshAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reads what a file has and was not given yet.</summary>
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

        // A file that can add no row gets one try.
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

    /// <summary>Waits; other batches may be read meanwhile, and what they repeat is not counted here.</summary>
    private async Task PauseAsync(TimeSpan wait, CancellationToken cancellationToken)
    {
        long before = reader.Duplicates?.Invoke() ?? 0;
        Task Delay() => Task.Delay(wait, client.Time, cancellationToken);
        await (reader.Pause?.Invoke(Delay) ?? Delay()).ConfigureAwait(false);
        _duplicatesBefore += (reader.Duplicates?.Invoke() ?? 0) - before;
    }

    /// <summary>Asks for the batch again; what came whole is read again where no other file can hold the rest.</summary>
    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        RequestCounts counts = Batch.RequestCounts;
        long elsewhere = (Batch.OutputFileId is null ? counts.Completed : 0) + (Batch.ErrorFileId is null ? counts.Failed : 0);
        if (Problem is null && (Lines == 0 || counts.Done - Lines > elsewhere))
        {
            (_output.IsRead, _errors.IsRead) = (false, false);
        }

        Batch = await BatchRefresh.RefreshAsync(client, Batch, cancellationToken).ConfigureAwait(false);
    }

    private sealed class ResultFile
    {
        public string? Id { get; set; }

        /// <summary>Where the first line begins that was not read, in bytes.</summary>
        public long Position { get; set; }

        public long Lines { get; set; }

        public bool IsRead { get; set; }

        public bool IsOpened { get; set; }

        public bool IsPartial { get; set; }

        public ServiceException? Problem { get; set; }
    }
}
