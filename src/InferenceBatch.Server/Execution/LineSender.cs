using System.Buffers;
using System.Text;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Server.Execution.Upstreams;
using InferenceBatch.Server.Storage;

namespace InferenceBatch.Server.Execution;

/// <summary>Sends one line once, and either writes what became of it to the run's log or says when to send it again.</summary>
internal sealed class LineSender(IUpstream upstream, EngineSettings settings, TimeProvider time, Troubles troubles, ILogger logger)
{
    /// <summary>The code of a line that was sent as often as it may and got no answer.</summary>
    public const string FailedCode = "inference_failed";

    /// <summary>The code of a line whose last attempt took too long.</summary>
    public const string TimeoutCode = "request_timeout";

    private const int LongestForeignText = 500;

    private static readonly TimeSpan s_diskWait = TimeSpan.FromSeconds(1);

    private readonly RetryRule _retry = new(settings.MaxAttempts);

    /// <summary>Sends one line. Never throws: a line that is given up stays without an answer.</summary>
    /// <param name="attempts">Attempts before this one.</param>
    public async Task<LineEnd> SendAsync(LineRun run, int index, int attempts)
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
            try
            {
                long start = time.GetTimestamp();
                using UpstreamAnswer answer = await upstream.SendAsync(run.Endpoint, line.AsMemory(span.BodyStart, span.BodyLength), timeout.Token);
                isOurs = true;
                return await EndAsync(run, index, attempts + 1, customId, answer, time.GetElapsedTime(start));
            }
            catch (UpstreamException exception) when (exception.Fault == UpstreamFault.Unreachable)
            {
                return new LineEnd(attempts, RetryRule.Wait(attempts + 1, null)) { WasSent = true, Fault = exception.Message };
            }
            catch (UpstreamException exception)
            {
                bool isFault = exception.Fault == UpstreamFault.Broken;
                return await EndAsync(run, index, isFault ? attempts + 1 : int.MaxValue, customId, FailedCode, exception.Message) with
                {
                    WasStrained = isFault,
                    Fault = isFault ? exception.Message : null,
                };
            }
            catch (OutOfMemoryException)
            {
                return await EndAsync(run, index, attempts + 1, customId, FailedCode, "The service had no memory for the upstream's answer.") with { WasStrained = true };
            }
            catch (OperationCanceledException) when (!run.Aborted.IsCancellationRequested)
            {
                return await EndAsync(run, index, attempts + 1, customId, TimeoutCode,
                    $"The upstream did not answer within {settings.RequestTimeout.TotalSeconds:0.###} s.") with
                { WasStrained = true };
            }
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
            troubles.Begin(Troubles.Storage, run.Name, Troubles.StorageMessage, exception.Message);
            return new LineEnd(attempts, s_diskWait);
        }
        catch (Exception exception)
        {
            // A fault of ours must not cost the line's place in flight, nor be tried for ever.
            Log.LineBroke(logger, span.Line, exception);
            try
            {
                await run.AddErrorAsync(index, line.AsMemory(span.IdStart, span.IdLength), FailedCode, "The service failed to run this line; its log says more.");
                return default;
            }
            catch (IOException)
            {
                return new LineEnd(attempts, s_diskWait);
            }
        }
        finally
        {
            // A send that was broken off may still hold the buffer: then it is left to the collector.
            if (isOurs)
            {
                ArrayPool<byte>.Shared.Return(line);
            }
        }
    }

    private async ValueTask<LineEnd> EndAsync(
        LineRun run, int index, int attempts, ReadOnlyMemory<byte> customId, UpstreamAnswer answer, TimeSpan latency)
    {
        bool isJson = LineUsage.TryReadBody(answer.Body, out LineUsage usage);
        bool isStrain = RetryRule.IsStrain(answer.StatusCode);
        if (answer.IsSuccess && !isJson)
        {
            return await EndAsync(run, index, attempts, customId, FailedCode, $"The upstream's answer (status {answer.StatusCode}) was not JSON.");
        }

        if (!answer.IsSuccess && (answer.ShouldRetry ?? RetryRule.IsPassing(answer.StatusCode)) && _retry.MayTryAgain(attempts))
        {
            return new LineEnd(attempts, RetryRule.Wait(attempts, answer.RetryAfter)) { WasSent = true, WasStrained = isStrain };
        }

        string requestId = answer.RequestId ?? Ids.NewRequest();
        byte[]? wrapped = isJson ? null : Wrap(answer.Body);
        LineOutcome outcome = LineOutcome.OfAnswer(answer.StatusCode, wrapped ?? answer.Body, usage, latency);
        while (true)
        {
            try
            {
                await run.AddAnswerAsync(index, customId.Span, answer.StatusCode, requestId, wrapped ?? answer.Body, outcome);
                troubles.End(Troubles.Storage, run.Name);
                return new LineEnd(attempts, null) { WasSent = true, WasStrained = isStrain };
            }
            catch (IOException exception)
            {
                await WaitForDiskAsync(run, exception);
            }
        }
    }

    private async ValueTask<LineEnd> EndAsync(
        LineRun run, int index, int attempts, ReadOnlyMemory<byte> customId, string code, string message)
    {
        if (_retry.MayTryAgain(attempts))
        {
            return new LineEnd(attempts, RetryRule.Wait(attempts, null)) { WasSent = true };
        }

        while (true)
        {
            try
            {
                await run.AddErrorAsync(index, customId, code, message);
                troubles.End(Troubles.Storage, run.Name);
                return new LineEnd(attempts, null) { WasSent = true };
            }
            catch (IOException exception)
            {
                await WaitForDiskAsync(run, exception);
            }
        }
    }

    /// <summary>The line keeps its place in flight: so nothing more is sent than what there is room to keep.</summary>
    private async Task WaitForDiskAsync(LineRun run, IOException exception)
    {
        troubles.Begin(Troubles.Storage, run.Name, Troubles.StorageMessage, exception.Message);
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
