using System.Runtime.CompilerServices;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

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

    /// <summary>Whether a file read so far was still being written: more results may come.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>Whether a batch read so far had a file at all.</summary>
    public bool HasReadFile { get; private set; }

    /// <summary>
    /// Streams the results of a batch: its output file, then its error file. Of a batch that still runs they are what
    /// there is so far, without a last line that is not all written; a file it names but does not have yet is passed over.
    /// </summary>
    /// <exception cref="ServiceException">A file could not be had; <see cref="ServiceErrorKind.DownloadIncomplete"/> when its last line is cut off.</exception>
    public async IAsyncEnumerable<BatchResult> ReadAsync(
        BatchClient client, Batch batch, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (string fileId in FilesOf(batch))
        {
            var stream = new ContentStream(client, fileId);
            await using ConfiguredAsyncDisposable closing = stream.ConfigureAwait(false);
            IAsyncEnumerator<BatchResult> results = ReadAsync(stream, batch.Id, () => stream.IsPartial || !batch.IsFinished, cancellationToken)
                .GetAsyncEnumerator(cancellationToken);
            await using ConfiguredAsyncDisposable ending = results.ConfigureAwait(false);
            while (await MoveAsync(results, batch).ConfigureAwait(false))
            {
                yield return results.Current;
            }

            HasReadFile |= stream.IsOpened;
            IsPartial |= stream.IsPartial || !batch.IsFinished;
        }
    }

    /// <summary>Streams the results of one file.</summary>
    /// <param name="stream">Read to its end; left open.</param>
    /// <param name="batchId">Put into each result.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.DownloadIncomplete"/>: the last line is cut off.</exception>
    public IAsyncEnumerable<BatchResult> ReadAsync(Stream stream, string? batchId, CancellationToken cancellationToken = default) =>
        ReadAsync(stream, batchId, () => false, cancellationToken);

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

    private static async ValueTask<bool> MoveAsync(IAsyncEnumerator<BatchResult> results, Batch batch)
    {
        try
        {
            return await results.MoveNextAsync().ConfigureAwait(false);
        }
        catch (ServiceException exception) when (exception.Kind == ServiceErrorKind.FileNotFound && !batch.IsFinished)
        {
            return false; // Some services name the files before there is anything in them.
        }
    }

    private async IAsyncEnumerable<BatchResult> ReadAsync(
        Stream stream, string? batchId, Func<bool> isBeingWritten, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var lines = new LineReader(stream, leaveOpen: true, LongestResult);
        while (await lines.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (Read(lines, batchId, isBeingWritten) is { } result)
            {
                yield return result;
            }
        }
    }

    private BatchResult? Read(LineReader lines, string? batchId, Func<bool> isBeingWritten)
    {
        ReadOnlySpan<byte> line = lines.Line.Span;
        if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
        {
            return null;
        }

        try
        {
            BatchResult result = IdsOnly ? ResultLineReader.ReadId(lines.Line) : ResultLineReader.Read(line, batchId, valueReader);
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
