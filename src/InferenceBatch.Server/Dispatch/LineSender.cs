using System.Buffers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Diagnostics;
using InferenceBatch.Server.Dispatch.Upstreams;
using InferenceBatch.Server.Statistics;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Dispatch;

/// <summary>Sends a line once. Then it either writes the result to the result files of the run, or says when to retry the line.</summary>
internal sealed class LineSender(UpstreamControl upstream, EngineSettings settings, TimeProvider time, HealthIssues issues, ILogger logger)
{
    /// <summary>The error code of a line that got no response in any of its attempts.</summary>
    public const string FailedCode = "inference_failed";

    /// <summary>The error code of a line whose last attempt timed out.</summary>
    public const string TimeoutCode = "request_timeout";

    private const int MaxForeignText = 500;

    private static readonly TimeSpan s_diskRetryWait = TimeSpan.FromSeconds(1);

    /// <summary>Sends a line. Never throws.</summary>
    /// <param name="run">The run of the line.</param>
    /// <param name="queued">The line with its earlier attempts.</param>
    /// <param name="ticket">From <see cref="UpstreamControl.TryStart"/>.</param>
    /// <returns>When to retry the line, without a wait if it has its result; null if it was given up without a result.</returns>
    public async Task<Verdict?> SendAsync(LineRun run, QueuedLine queued, long ticket)
    {
        (int index, LineHistory history) = queued;
        RequestSpan span = run.SpanOf(index);
        byte[] line = ArrayPool<byte>.Shared.Rent(span.Length);
        bool isReturnable = false;
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
                isReturnable = true;
                return await EndAsync(run, index, ticket, history, customId, answer, time.GetElapsedTime(start));
            }
            catch (UpstreamException exception)
            {
                attempt = Attempt.Of(exception);
            }
            catch (OutOfMemoryException)
            {
                attempt = new Attempt(AttemptKind.TimedOut, "The service did not have enough memory for the upstream's response.");
            }
            catch (OperationCanceledException) when (!run.Aborted.IsCancellationRequested && upstream.IsLost(ticket))
            {
                attempt = new Attempt(AttemptKind.Unreachable, "The upstream became unavailable before it responded.");
            }
            catch (OperationCanceledException) when (!run.Aborted.IsCancellationRequested)
            {
                code = TimeoutCode;
                attempt = new Attempt(AttemptKind.TimedOut, $"The upstream did not respond within {settings.RequestTimeout.TotalSeconds:0.###} s.");
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
            return null;
        }
        catch (EndOfStreamException exception)
        {
            run.Break(exception);
            return null;
        }
        catch (IOException exception)
        {
            issues.Begin(HealthIssues.Storage, run.Name, HealthIssues.StorageMessage, exception.Message);
            return new Verdict(history, s_diskRetryWait) { MinWait = s_diskRetryWait };
        }
        catch (Exception exception)
        {
            // An error of the service itself must not occupy a place in flight, nor be repeated forever.
            Log.LineBroke(logger, span.Line, exception);
            try
            {
                await run.AddErrorAsync(index, line.AsMemory(span.IdStart, span.IdLength), FailedCode, "The service failed to process this line. Its log has the details.");
                return new Verdict(history, null);
            }
            catch (IOException)
            {
                return new Verdict(history, s_diskRetryWait) { MinWait = s_diskRetryWait };
            }
        }
        finally
        {
            upstream.Abandon(ticket);

            // A cancelled send may still use the buffer. Then the garbage collector frees it.
            if (isReturnable)
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
        // An error in a response with a success status is stored with the status of the error.
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
            await AddErrorAsync(run, index, customId, FailedCode, $"The upstream's response (status {answer.StatusCode}) is not valid JSON.");
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

    /// <summary>The line keeps its place in flight, so that no more lines are sent than can be stored.</summary>
    private async Task WaitForDiskAsync(LineRun run, IOException exception)
    {
        issues.Begin(HealthIssues.Storage, run.Name, HealthIssues.StorageMessage, exception.Message);
        await Task.Delay(s_diskRetryWait, time, run.Aborted);
    }

    /// <summary>A result line contains JSON, so a body that is HTML or text becomes the message of an error object.</summary>
    private static byte[] Wrap(ReadOnlySpan<byte> body)
    {
        string text = Encoding.UTF8.GetString(body[..Math.Min(body.Length, MaxForeignText * 4)]);
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions))
        {
            Wire.WireWriter.WriteError(json, Wire.TextCut.Start(text, MaxForeignText), "upstream_error", null, null);
        }

        return buffer.WrittenSpan.ToArray();
    }
}
