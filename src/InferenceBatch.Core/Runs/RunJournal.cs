using System.Text.Json;
using System.Text.Json.Serialization;
using InferenceBatch.Lines;
using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>
/// The journal of a run: append-only, one JSON object per line. Each step is synced to disk before the run relies on it. A
/// torn last line is a step that did not happen, and is removed.
/// </summary>
/// <param name="path">The file; created if it does not exist.</param>
/// <param name="isDurable">Whether each step is synced to disk.</param>
/// <exception cref="FileUnwritableException">The file cannot be opened for writing.</exception>
internal sealed class RunJournal(string path, bool isDurable) : IDisposable
{
    /// <summary>The name of the file in the folder of the run.</summary>
    public const string FileName = "journal.jsonl";

    private static readonly JsonSerializerOptions s_options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = PlainJsonEncoder.Instance,
    };

    private readonly DiskStream _file = Disk.Open(path, new FileStreamOptions
    {
        Mode = FileMode.OpenOrCreate,
        Access = FileAccess.ReadWrite,
        Share = FileShare.Read,
        BufferSize = 1,
    });

    /// <summary>How the first line of every journal starts.</summary>
    private static ReadOnlySpan<byte> FirstLineStart => "{\"step\":\"Began\","u8;

    /// <summary>Returns the last <see cref="RunStepKind.Began"/> step of a journal; null if there is no journal or it cannot be read.</summary>
    public static RunStep? LastBegan(string path)
    {
        try
        {
            using var lines = new LineReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
            RunStep? began = null;
            while (lines.Read() && lines.IsTerminated)
            {
                if (lines.Line.Span.StartsWith(FirstLineStart))
                {
                    began = JsonSerializer.Deserialize<RunStep>(lines.Line.Span, s_options)!;
                }
            }

            return began;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether a journal has at least one complete line.</summary>
    public static bool HasStep(string path)
    {
        using var lines = new LineReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return lines.Read() && lines.IsTerminated;
    }

    /// <summary>Whether a file contains no more than the start of a journal's first line.</summary>
    public static bool IsTornStart(string path)
    {
        byte[] text = File.ReadAllBytes(path);
        ReadOnlySpan<byte> start = FirstLineStart;
        return text.AsSpan().StartsWith(start) || start.StartsWith(text);
    }

    /// <summary>Reads all steps, then removes a torn last line.</summary>
    /// <param name="apply">Called with each step.</param>
    /// <exception cref="RunMismatchException">A line is not a valid step.</exception>
    public void Replay(Action<RunStep> apply)
    {
        long end = 0;
        using (var lines = new LineReader(_file, leaveOpen: true))
        {
            while (lines.Read() && lines.IsTerminated)
            {
                try
                {
                    apply(JsonSerializer.Deserialize<RunStep>(lines.Line.Span, s_options) ?? throw new JsonException("null"));
                }
                catch (Exception exception) when (exception is JsonException or KeyNotFoundException or ArgumentException or InvalidOperationException or UriFormatException)
                {
                    throw new RunMismatchException(Messages.Text("CheckpointMismatch.Step", lines.Number, _file.Name, exception.Message));
                }

                end = lines.NextOffset;
            }
        }

        _file.SetLength(end);
        _file.Position = end;
    }

    /// <summary>Appends a step.</summary>
    /// <exception cref="FileUnwritableException">The disk is full. The journal is unchanged.</exception>
    public void Append(RunStep step)
    {
        long end = _file.Position;
        try
        {
            _file.Write([.. JsonSerializer.SerializeToUtf8Bytes(step, s_options), (byte)'\n']);
            _file.Flush(flushToDisk: isDurable);
        }
        catch (FileUnwritableException)
        {
            // The next step must not follow a part of this one.
            _file.SetLength(end);
            _file.Position = end;
            throw;
        }
    }

    public void Dispose() => _file.Dispose();
}
