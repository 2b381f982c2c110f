using System.Buffers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Dispatch;

/// <summary>Sends one line once, and either writes what became of it to the run's result files or says when to send it again.</summary>
internal sealed class LineSender(UpstreamControl upstream, EngineSettings settings, TimeProvider time, HealthIssues issues, ILogger logger)
{
    /// <summary>The code of a line that was sent as often as it may be and got no answer.</summary>
    public const string FailedCode = "inference_failed";

    /// <summary>The code of a line whose last attempt took too long.</summary>
    public const string TimeoutCode = "request_timeout";

    private const int LongestForeignText = 500;

    private static readonly TimeSpan s_diskWait = TimeSpan.FromSeconds(1);

    /// <summary>Sends one line. Never throws: a line that is given up stays without an answer.</summary>
    /// <param name="ticket">From <see cref="UpstreamControl.TryStart"/>.</param>
    /// <param name="history">Attempts before this one.</param>
    /// <returns>When to send it again; the default when it is done, or given up.</returns>
    public async Task<Verdict> SendAsync(LineRun run, int index, long ticket, LineHistory history)
    {
        RequestSpan span = run.SpanOf(index);
        byte[] line = ArrayPool<byte>.Shared.Rent(span.Length);
        bool isOurs = false;
        try
        {
            run.Read(span, line);
            ReadOnlyMemory<byte> customId = line.AsMemory(span.IdStart, span.IdLength);
            using var timeout = new CancellationTokenSource(settings.RequestTimeout, time);
            using CancellationTokenRegistration abort =
                run.Aborted.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), timeout);
            Attempt attempt;
            string code = FailedCode;
            try
            {
                long start = time.GetTimestamp();
                using UpstreamAnswer answer = await upstream.SendAsync(ticket, run.Endpoint, line.AsMemory(span.BodyStart, span.BodyLength), timeout);
                isOurs = true;
                return await EndAsync(run, index, ticket, history, customId, answer, time.GetElapsedTime(start));
            }
            catch (UpstreamException exception)
            {
                attempt = Attempt.Of(exception);
            }
            catch (OutOfMemoryException)
            {
                attempt = new Attempt(AttemptKind.TimedOut, "The service had no memory for the upstream's answer.");
            }
            catch (OperationCanceledException) when (!run.Aborted.IsCancellationRequested && upstream.IsLost(ticket))
            {
                attempt = new Attempt(AttemptKind.Unreachable, "The upstream went away before it answered.");
            }
            catch (OperationCanceledException) when (!run.Aborted.IsCancellationRequested)
            {
                code = TimeoutCode;
                attempt = new Attempt(AttemptKind.TimedOut, $"The upstream did not answer within {settings.RequestTimeout.TotalSeconds:0.###} s.");
            }

            Verdict verdict = upstream.End(ticket, attempt, history);
            if (verdict.Wait is null)
            {
                await AddErrorAsync(run, index, customId, code, attempt.Reason);
            }

            return verdict;
        }
        catch (OperationCanceledException)
        {
            return default;
        }
        catch (EndOfStreamException exception)
        {
            run.Break(exception);
            return default;
        }
        catch (IOException exception)
        {
            issues.Begin(HealthIssues.Storage, run.Name, HealthIssues.StorageMessage, exception.Message);
            return new Verdict(history, s_diskWait) { Soonest = s_diskWait };
        }
        catch (Exception exception)
        {
            // A fault of ours must not cost the line's place in flight, nor be repeated without end.
            Log.LineBroke(logger, span.Line, exception);
            try
            {
                await run.AddErrorAsync(index, line.AsMemory(span.IdStart, span.IdLength), FailedCode, "The service failed to run this line; its log says more.");
                return default;
            }
            catch (IOException)
            {
                return new Verdict(history, s_diskWait) { Soonest = s_diskWait };
            }
        }
        finally
        {
            upstream.Abandon(ticket);

            // A send that was broken off may still hold the buffer: then it is left to the collector.
            if (isOurs)
            {
                ArrayPool<byte>.Shared.Return(line);
            }
        }
    }

    private async ValueTask<Verdict> EndAsync(
        LineRun run, int index, long ticket, LineHistory history, ReadOnlyMemory<byte> customId, UpstreamAnswer answer, TimeSpan latency)
    {
        bool isJson = LineUsage.TryReadBody(answer.Body, run.Endpoint, out LineUsage usage, out AnswerProblem? problem);
        problem = answer.IsSuccess ? problem : null;
        // An error inside a success is kept as what it is.
        int statusCode = problem?.EffectiveStatus ?? answer.StatusCode;
        bool isAnswer = isJson ? problem is null : !answer.IsSuccess;
        Attempt attempt = Attempt.Of(answer, problem?.StatusCode ?? answer.StatusCode, isAnswer);
        Verdict verdict = upstream.End(ticket, attempt, history);
        if (verdict.Wait is not null)
        {
            return verdict;
        }

        if (!isJson && answer.IsSuccess)
        {
            await AddErrorAsync(run, index, customId, FailedCode, $"The upstream's answer (status {answer.StatusCode}) was not JSON.");
            return verdict;
        }

        string requestId = answer.RequestId ?? Ids.NewRequest();
        byte[]? wrapped = isJson ? null : Wrap(answer.Body);
        LineOutcome outcome = LineOutcome.OfAnswer(statusCode, wrapped ?? answer.Body, usage, latency);
        while (true)
        {
            try
            {
                await run.AddAnswerAsync(index, customId.Span, statusCode, requestId, wrapped ?? answer.Body, outcome);
                issues.End(HealthIssues.Storage, run.Name);
                return verdict;
            }
            catch (IOException exception)
            {
                await WaitForDiskAsync(run, exception);
            }
        }
    }

    private async ValueTask AddErrorAsync(LineRun run, int index, ReadOnlyMemory<byte> customId, string code, string message)
    {
        while (true)
        {
            try
            {
                await run.AddErrorAsync(index, customId, code, message);
                issues.End(HealthIssues.Storage, run.Name);
                return;
            }
            catch (IOException exception)
            {
                await WaitForDiskAsync(run, exception);
            }
        }
    }

    /// <summary>The line keeps its place in flight: nothing more is sent than there is room to keep.</summary>
    private async Task WaitForDiskAsync(LineRun run, IOException exception)
    {
        issues.Begin(HealthIssues.Storage, run.Name, HealthIssues.StorageMessage, exception.Message);
        await Task.Delay(s_diskWait, time, run.Aborted);
    }

    /// <summary>A result line holds JSON: a body that is HTML or text becomes the message of an error object.</summary>
    private static byte[] Wrap(ReadOnlySpan<byte> body)
    {
        string text = Encoding.UTF8.GetString(body[..Math.Min(body.Length, LongestForeignText * 4)]);
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions))
        {
            Wire.WireWriter.WriteError(json, Wire.TextCut.Start(text, LongestForeignText), "upstream_error", null, null);
        }

        return buffer.WrittenSpan.ToArray();
    }
}
