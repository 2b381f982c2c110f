using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Statistics;

namespace InferenceBatch.Server.ResultFiles;

/// <summary>
/// The two files that the lines of one batch end in: successes in the output, all others in the errors. A line's id
/// is <c>batch_req_KEY_NUMBER</c>, its number in the input file, so the files alone say what is done.
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

    /// <summary>Bytes that were torn or damaged when it was opened; their lines are to be run again.</summary>
    public long Dropped => Output.Dropped + Errors.Dropped;

    /// <summary>Opens the result files of one batch, or makes them.</summary>
    /// <param name="key">Names the batch in line ids.</param>
    /// <param name="outputPath">The output so far, or to be.</param>
    /// <param name="errorPath">The errors so far, or to be.</param>
    /// <param name="sync">Brings lines to the disk.</param>
    /// <param name="onLine">Told each line that is there already, its number and how it ended; false where the input has no such line, or has it once.</param>
    /// <exception cref="InvalidDataException">A file holds nothing but what this batch did not write.</exception>
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

    /// <summary>Adds an answer; it goes to the output when its status is 2xx.</summary>
    /// <exception cref="IOException">Nothing was added; it can be tried again.</exception>
    public ValueTask AppendAnswerAsync(int line, ReadOnlySpan<byte> customIdJson, int statusCode, string requestId, ReadOnlySpan<byte> body)
    {
        Span<byte> requestIdBytes = stackalloc byte[256];
        requestIdBytes = requestIdBytes[..Encoding.ASCII.GetBytes(requestId, requestIdBytes)];
        Span<byte> id = stackalloc byte[_idStart.Length + 11];
        // A large one grows to its size at once: doubling would take three times its memory.
        ArrayBufferWriter<byte> buffer = body.Length > LargeBuffer ? new ArrayBufferWriter<byte>(body.Length + customIdJson.Length + 1024) : Buffer();
        ResultLine.WriteAnswer(buffer, Id(line, id), customIdJson, statusCode, requestIdBytes, body);
        return (statusCode is >= 200 and < 300 ? Output : Errors).AppendAsync(buffer.WrittenSpan, 1);
    }

    /// <summary>Adds lines that got no answer, all for one reason.</summary>
    /// <exception cref="IOException">Nothing was added; it can be tried again.</exception>
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

    /// <summary>Returns once every line added is on the disk.</summary>
    /// <exception cref="IOException">The disk refused.</exception>
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

    /// <summary>This thread's buffer, empty; one that a large answer has stretched is not kept.</summary>
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
