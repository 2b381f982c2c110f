using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>Streams the results of output and error files. Memory use depends only on the longest line.</summary>
/// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
public sealed class ResultReader(Func<string, object?>? valueReader = null)
{
    /// <summary>The maximum length of a result line in bytes. A compressed response could otherwise exceed the memory.</summary>
    private const int MaxLineLength = 256 * 1024 * 1024;

    /// <summary>Called for a line that cannot be read, with its number, counted from 1, and the reason. The other lines are read.</summary>
    public Action<int, string>? OnBadLine { get; init; }

    /// <summary>
    /// Whether only the IDs and positions of results are read, so that the caller can read the results later. Each result is
    /// then valid only until the next one is read.
    /// </summary>
    public bool IdsOnly { get; init; }

    /// <summary>Whether an incomplete last line is skipped, because the caller knows that the file is incomplete.</summary>
    internal bool AllowsIncompleteLastLine { get; init; }

    /// <summary>Whether a file that was read was still being written, so that more results may follow.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>Whether any batch that was read had a file.</summary>
    public bool HasReadFile { get; private set; }

    /// <summary>Why one of a batch's files could not be read, although the other one has a result for each request; null if all files were read.</summary>
    public ServiceException? UnreadFileError { get; private set; }

    /// <summary>Returns whether each request has a result by now; null if the requests are not known.</summary>
    public Func<bool>? IsComplete { get; init; }

    /// <summary>Returns the number of results with a duplicate ID so far; null if unknown.</summary>
    public Func<long>? Duplicates { get; init; }

    /// <summary>Called once if a batch has ended, but the service has not shown all its results for ten seconds. The reader waits for them.</summary>
    public Action<Batch>? OnResultsLate { get; init; }

    /// <summary>Called to wait for late results. It must run the wait that it receives, and may let other readers run during that time.</summary>
    public Func<Func<Task>, Task>? Pause { get; init; }

    /// <summary>The last known state of the batch that was read last.</summary>
    public Batch? LastBatch { get; private set; }

    /// <summary>
    /// Streams the results of a batch: its output file, then its error file. For a running batch, these are the results so
    /// far, without an incomplete last line. A file that does not exist yet is skipped. If the batch has ended, each file is
    /// read even if the other one cannot be read. If results are missing according to the counts of the batch, files that are
    /// not named or not found are requested again for five minutes, unless the batch ended more than an hour ago.
    /// </summary>
    /// <exception cref="ServiceException">
    /// A file cannot be read; thrown after all readable results. <see cref="ServiceErrorKind.DownloadIncomplete"/> if its last
    /// line is incomplete. Not thrown if the other file has all results: see <see cref="UnreadFileError"/>.
    /// </exception>
    public async IAsyncEnumerable<BatchResult> ReadAsync(
        BatchClient client, Batch batch, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        LastBatch = batch;
        if (!batch.IsFinished)
        {
            await foreach (BatchResult result in ReadRunningAsync(client, batch, cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }

            yield break;
        }

        var ended = new EndedBatchReader(this, client, batch);
        await foreach (BatchResult result in ended.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            yield return result;
        }

        LastBatch = ended.Batch;
        HasReadFile |= ended.HasReadFile;
        IsPartial |= ended.IsPartial;
        UnreadFileError = ended.IsProblemHarmless ? ended.Problem : null;
        if (UnreadFileError is null && ended.Problem is { } problem)
        {
            ExceptionDispatchInfo.Throw(problem);
        }
    }

    /// <summary>Streams the results of one file.</summary>
    /// <param name="stream">The file. It is read to its end and left open.</param>
    /// <param name="batchId">The batch ID for each result.</param>
    /// <param name="endpoint">The endpoint of the requests; null if unknown.</param>
    /// <param name="cancellationToken">Cancels the read.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.DownloadIncomplete"/>: the last line is incomplete.</exception>
    public IAsyncEnumerable<BatchResult> ReadAsync(Stream stream, string? batchId, string? endpoint, CancellationToken cancellationToken = default) =>
        ReadAsync(stream, batchId, endpoint, () => AllowsIncompleteLastLine, null, cancellationToken);

    /// <summary>Like <see cref="ReadAsync(Stream, string?, string?, CancellationToken)"/>, for an unknown endpoint.</summary>
    public IAsyncEnumerable<BatchResult> ReadAsync(Stream stream, string? batchId, CancellationToken cancellationToken = default) =>
        ReadAsync(stream, batchId, null, cancellationToken);

    /// <summary>Returns the IDs of a batch's result files.</summary>
    public static IEnumerable<string> FilesOf(Batch batch)
    {
        if (batch.OutputFileId is { } output)
        {
            yield return output;
        }

        if (batch.ErrorFileId is { } errors && errors != batch.OutputFileId)
        {
            yield return errors;
        }
    }

    /// <summary>Reads the lines of a stream.</summary>
    /// <param name="stream">The file. It is read to its end and left open.</param>
    /// <param name="batchId">The batch ID for each result.</param>
    /// <param name="endpoint">The endpoint of the requests; null if unknown.</param>
    /// <param name="isBeingWritten">Returns whether the last line may be incomplete.</param>
    /// <param name="onRead">Called after each complete line.</param>
    /// <param name="cancellationToken">Cancels the read.</param>
    internal async IAsyncEnumerable<BatchResult> ReadAsync(
        Stream stream, string? batchId, string? endpoint, Func<bool> isBeingWritten, Action<LineReader>? onRead, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var lines = new LineReader(stream, leaveOpen: true, MaxLineLength);
        bool isFirst = onRead is not null;
        while (await lines.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (isFirst && lines.Line.Span.TrimStart(" \t\r"u8) is [(byte)'<', ..])
            {
                throw new ServiceException(ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete.Page"));
            }

            isFirst = false;
            BatchResult? result = Read(lines, batchId, endpoint, isBeingWritten);
            onRead?.Invoke(lines);
            if (result is not null)
            {
                yield return result;
            }
        }
    }

    private async IAsyncEnumerable<BatchResult> ReadRunningAsync(
        BatchClient client, Batch batch, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (string fileId in FilesOf(batch))
        {
            var stream = new ContentStream(client, fileId);
            await using ConfiguredAsyncDisposable closing = stream.ConfigureAwait(false);
            IAsyncEnumerator<BatchResult> results = ReadAsync(stream, batch.Id, batch.Endpoint, () => true, null, cancellationToken).GetAsyncEnumerator(cancellationToken);
            await using ConfiguredAsyncDisposable ending = results.ConfigureAwait(false);
            while (await MoveAsync(results).ConfigureAwait(false))
            {
                yield return results.Current;
            }

            HasReadFile |= stream.IsOpened;
            IsPartial = true;
        }
    }

    private static async ValueTask<bool> MoveAsync(IAsyncEnumerator<BatchResult> results)
    {
        try
        {
            return await results.MoveNextAsync().ConfigureAwait(false);
        }
        catch (ServiceException exception) when (LateVisibility.IsNotFound(exception))
        {
            return false; // Some services name the files before they exist.
        }
    }

    private BatchResult? Read(LineReader lines, string? batchId, string? endpoint, Func<bool> isBeingWritten)
    {
        ReadOnlySpan<byte> line = lines.Line.Span;
        if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
        {
            return null;
        }

        try
        {
            BatchResult result = IdsOnly ? ResultLineReader.ReadId(lines.Line) : ResultLineReader.Read(line, batchId, valueReader, endpoint);
            (result.Offset, result.LineLength) = (lines.Offset, line.Length);
            return result;
        }
        catch (JsonException exception)
        {
            if (!lines.IsTerminated && isBeingWritten())
            {
                return null;
            }

            if (!lines.IsTerminated)
            {
                throw new ServiceException(
                    ServiceErrorKind.DownloadIncomplete, Messages.Text("DownloadIncomplete.MiddleOfLine", lines.Number), exception);
            }

            OnBadLine?.Invoke(lines.Number, exception.Message);
            return null;
        }
    }
}
