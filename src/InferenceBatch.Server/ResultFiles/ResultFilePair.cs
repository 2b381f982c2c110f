using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Statistics;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>
/// The two result files of a batch: the output file for successes, and the error file for all other lines. The ID of a result
/// line is <c>batch_req_KEY_NUMBER</c> with the number of the line in the input file, so the files alone show which lines are
/// done.
/// </summary>
internal sealed class ResultFilePair : IDisposable
{
    private const string IdPrefix = "batch_req_";
    private const int LargeBuffer = 1024 * 1024;

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? t_buffer;

    private readonly byte[] _idStart;
    private readonly GroupSync _sync;

    private ResultFilePair(string key, GroupSync sync)
    {
        _idStart = Encoding.ASCII.GetBytes($"{IdPrefix}{key}_");
        _sync = sync;
    }

    public ResultFileWriter Output { get; private init; } = null!;

    public ResultFileWriter Errors { get; private init; } = null!;

    /// <summary>The number of damaged bytes that were dropped when the files were opened. Their lines must run again.</summary>
    public long Dropped => Output.Dropped + Errors.Dropped;

    /// <summary>Opens the result files of a batch, or creates them.</summary>
    /// <param name="key">Identifies the batch in the IDs of the lines.</param>
    /// <param name="outputPath">The path of the output file.</param>
    /// <param name="errorPath">The path of the error file.</param>
    /// <param name="sync">Syncs lines to the disk.</param>
    /// <param name="onLine">Called for each existing result with the number of the line and its outcome. Returns false if the input does not have the line, or if the line has a result already.</param>
    /// <exception cref="InvalidDataException">A file has content, but no result of this batch.</exception>
    /// <exception cref="IOException">A file cannot be opened or read.</exception>
    public static ResultFilePair Open(string key, string outputPath, string errorPath, GroupSync sync, Func<int, LineOutcome, bool> onLine)
    {
        string start = $"{IdPrefix}{key}_";
        ResultFileWriter output = ResultFileWriter.Open(outputPath, sync.Flush, line => Recover(line, isSuccess: true));
        try
        {
            ResultFileWriter errors = ResultFileWriter.Open(errorPath, sync.Flush, line => Recover(line, isSuccess: false));
            output.OnWritten = errors.OnWritten = sync.Written;
            return new ResultFilePair(key, sync) { Output = output, Errors = errors };
        }
        catch
        {
            output.Dispose();
            throw;
        }

        bool Recover(ReadOnlySpan<byte> line, bool isSuccess)
        {
            LineOutcome outcome = LineOutcome.ReadResultLine(line, isSuccess, out ReadOnlySpan<byte> id);
            string text = Encoding.UTF8.GetString(id);
            return text.StartsWith(start, StringComparison.Ordinal)
                && WholeNumber.TryRead(text.AsSpan(start.Length), 0, int.MaxValue, out int number)
                && onLine(number, outcome);
        }
    }

    /// <summary>Adds a response: to the output file if its status is 2xx, otherwise to the error file.</summary>
    /// <exception cref="IOException">Nothing was added. The call can be retried.</exception>
    public ValueTask AppendAnswerAsync(int line, ReadOnlySpan<byte> customIdJson, int statusCode, string requestId, ReadOnlySpan<byte> body)
    {
        Span<byte> requestIdBytes = stackalloc byte[256];
        requestIdBytes = requestIdBytes[..Encoding.ASCII.GetBytes(requestId, requestIdBytes)];
        Span<byte> id = stackalloc byte[_idStart.Length + 11];
        // Allocates the memory for a large body at once, because doubling would need three times as much.
        ArrayBufferWriter<byte> buffer = body.Length > LargeBuffer ? new ArrayBufferWriter<byte>(body.Length + customIdJson.Length + 1024) : Buffer();
        ResultLine.WriteAnswer(buffer, Id(line, id), customIdJson, statusCode, requestIdBytes, body);
        return (statusCode is >= 200 and < 300 ? Output : Errors).AppendAsync(buffer.WrittenSpan, 1);
    }

    /// <summary>Adds the same error for lines that got no response.</summary>
    /// <exception cref="IOException">Nothing was added. The call can be retried.</exception>
    public ValueTask AppendErrorsAsync(IReadOnlyList<(int Line, ReadOnlyMemory<byte> CustomIdJson)> lines, string code, string message)
    {
        byte[] codeBytes = Encoding.ASCII.GetBytes(code);
        byte[] messageJson = JsonSerializer.SerializeToUtf8Bytes(message);
        Span<byte> id = stackalloc byte[_idStart.Length + 11];
        ArrayBufferWriter<byte> buffer = Buffer();
        foreach ((int line, ReadOnlyMemory<byte> customIdJson) in lines)
        {
            ResultLine.WriteError(buffer, Id(line, id), customIdJson.Span, codeBytes, messageJson);
        }

        return Errors.AppendAsync(buffer.WrittenSpan, lines.Count);
    }

    /// <summary>Returns when every added line is on the disk.</summary>
    /// <exception cref="IOException">The sync failed.</exception>
    public void Sync()
    {
        Output.Sync();
        Errors.Sync();
    }

    public void Dispose()
    {
        _sync.Forget(Output);
        _sync.Forget(Errors);
        Output.Dispose();
        Errors.Dispose();
    }

    /// <summary>Returns the empty buffer of this thread. A buffer that has grown for a large response is replaced.</summary>
    private static ArrayBufferWriter<byte> Buffer()
    {
        if (t_buffer is not { Capacity: <= LargeBuffer })
        {
            t_buffer = new ArrayBufferWriter<byte>(16 * 1024);
        }

        t_buffer.ResetWrittenCount();
        return t_buffer;
    }

    private ReadOnlySpan<byte> Id(int line, Span<byte> target)
    {
        _idStart.CopyTo(target);
        Utf8Formatter.TryFormat(line, target[_idStart.Length..], out int digits);
        return target[..(_idStart.Length + digits)];
    }
}
