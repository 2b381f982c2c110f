using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Results;

/// <summary>Streams the results of output and error files, in memory that grows with the longest line only.</summary>
/// <param name="valueReader">See <see cref="BatchResult.ValueReader"/>.</param>
public sealed class ResultReader(Func<string, object?>? valueReader = null)
{
    /// <summary>The bytes a result line may have: what a service compresses may become larger than memory.</summary>
    private const int LongestResult = 256 * 1024 * 1024;

    /// <summary>Told of a line that could not be read (its number, counted from 1, and why); the others go on.</summary>
    public Action<int, string>? OnBadLine { get; init; }

    /// <summary>
    /// Whether results are wanted for their ids and places alone, to be read again later: then each is valid until the
    /// next is asked for, and nothing but its id is read.
    /// </summary>
    public bool IdsOnly { get; init; }

    /// <summary>Whether a last line that is cut off is passed over, because the caller knows that the file is not whole.</summary>
    internal bool AllowsIncompleteLastLine { get; init; }

    /// <summary>Whether a file read so far was still being written: more results may come.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>Whether a batch read so far had a file at all.</summary>
    public bool HasReadFile { get; private set; }

    /// <summary>Why one of a batch's files could not be read, though the other one gave a result for each request; null when all were read.</summary>
    public ServiceException? Unread { get; private set; }

    /// <summary>Says whether each request that was asked for has a result by now; null where nobody knows the requests.</summary>
    public Func<bool>? IsComplete { get; init; }

    /// <summary>How many results repeated the id of another one so far; null where nobody knows.</summary>
    public Func<long>? Duplicates { get; init; }

    /// <summary>Told once when a batch has ended, and the service has not shown all its results for ten seconds: they are waited for.</summary>
    public Action<Batch>? OnLate { get; init; }

    /// <summary>Called to wait before results that the service shows late are asked for again: runs the wait it is given, and may let others read meanwhile.</summary>
    public Func<Func<Task>, Task>? Pause { get; init; }

    /// <summary>The batch read last, as the service described it last.</summary>
    public Batch? LastRead { get; private set; }

    /// <summary>
    /// Streams the results of a batch: its output file, then its error file. Of a batch that still runs they are what
    /// there is so far, without a last line that is not all written; a file it names but does not have yet is passed over.
    /// Of a batch that has ended, each file is read whatever is wrong with the other one. Where results are missing that
    /// the batch promises, files that are not named or not found are asked for again, for five minutes, unless the batch
    /// ended more than an hour ago.
    /// </summary>
    /// <exception cref="ServiceException">
    /// A file could not be read, after all that could be; <see cref="ServiceErrorKind.DownloadIncomplete"/> when its last
    /// line is cut off. Not where the other file has all results: see <see cref="Unread"/>.
    /// </exception>
    public async IAsyncEnumerable<BatchResult> ReadAsync(
        BatchClient client, Batch batch, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        LastRead = batch;
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

        LastRead = ended.Batch;
        HasReadFile |= ended.HasReadFile;
        IsPartial |= ended.IsPartial;
        Unread = ended.IsProblemHarmless ? ended.Problem : null;
        if (Unread is null && ended.Problem is { } problem)
        {
            ExceptionDispatchInfo.Throw(problem);
        }
    }

    /// <summary>Streams the results of one file.</summary>
    /// <param name="stream">Read to its end; left open.</param>
    /// <param name="batchId">Put into each result.</param>
    /// <param name="endpoint">Where the requests were sent; null where that is not known.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.DownloadIncomplete"/>: the last line is cut off.</exception>
    public IAsyncEnumerable<BatchResult> ReadAsync(Stream stream, string? batchId, string? endpoint, CancellationToken cancellationToken = default) =>
        ReadAsync(stream, batchId, endpoint, () => AllowsIncompleteLastLine, null, cancellationToken);

    /// <summary>As <see cref="ReadAsync(Stream, string?, string?, CancellationToken)"/>, where nobody knows where the requests were sent.</summary>
    public IAsyncEnumerable<BatchResult> ReadAsync(Stream stream, string? batchId, CancellationToken cancellationToken = default) =>
        ReadAsync(stream, batchId, null, cancellationToken);

    /// <summary>The ids of the files that hold a batch's results.</summary>
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
    /// <param name="stream">Read to its end; left open.</param>
    /// <param name="batchId">Put into each result.</param>
    /// <param name="endpoint">Where the requests were sent; null where that is not known.</param>
    /// <param name="isBeingWritten">Whether a last line that is cut off is to be expected.</param>
    /// <param name="onRead">Told after each whole line.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal async IAsyncEnumerable<BatchResult> ReadAsync(
        Stream stream, string? batchId, string? endpoint, Func<bool> isBeingWritten, Action<LineReader>? onRead, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var lines = new LineReader(stream, leaveOpen: true, LongestResult);
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
            return false; // Some services name the files before there is anything in them.
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
