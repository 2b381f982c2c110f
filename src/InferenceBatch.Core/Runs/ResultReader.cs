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
    /// <summary>Told of a line that could not be read (its number, counted from 1, and why); the others go on.</summary>
    public Action<int, string>? OnBadLine { get; init; }

    /// <summary>Streams the results of a batch: its output file, then its error file.</summary>
    /// <exception cref="ServiceException">A file could not be had; <see cref="ServiceErrorKind.DownloadIncomplete"/> when its last line is cut off.</exception>
    public async IAsyncEnumerable<BatchResult> ReadAsync(
        BatchClient client, Batch batch, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (string fileId in FilesOf(batch))
        {
            Stream stream = client.ReadContent(fileId);
            await using (stream.ConfigureAwait(false))
            {
                await foreach (BatchResult result in ReadAsync(stream, batch.Id, cancellationToken).ConfigureAwait(false))
                {
                    yield return result;
                }
            }
        }
    }

    /// <summary>Streams the results of one file.</summary>
    /// <param name="stream">Read to its end; left open.</param>
    /// <param name="batchId">Put into each result.</param>
    /// <exception cref="ServiceException"><see cref="ServiceErrorKind.DownloadIncomplete"/>: the last line is cut off.</exception>
    public async IAsyncEnumerable<BatchResult> ReadAsync(
        Stream stream, string? batchId, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var lines = new LineReader(stream, leaveOpen: true);
        while (await lines.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (Read(lines, batchId) is { } result)
            {
                yield return result;
            }
        }
    }

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

    private BatchResult? Read(LineReader lines, string? batchId)
    {
        ReadOnlySpan<byte> line = lines.Line.Span;
        if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
        {
            return null;
        }

        try
        {
            return ResultLineReader.Read(line, batchId, valueReader);
        }
        catch (JsonException exception)
        {
            if (!lines.IsTerminated)
            {
                throw new ServiceException(
                    ServiceErrorKind.DownloadIncomplete, $"The file ends in the middle of line {lines.Number}: fetch it again.", exception);
            }

            OnBadLine?.Invoke(lines.Number, exception.Message);
            return null;
        }
    }
}
