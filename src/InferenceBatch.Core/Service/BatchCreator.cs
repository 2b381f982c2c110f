using System.Buffers;
using System.Net.Http.Headers;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>
/// Creates batches. The API has no idempotency key: after an attempt with an unknown outcome, this class looks for the
/// input file among the newest batches before it sends the request again.
/// </summary>
internal sealed class BatchCreator(BatchClient client, HttpCaller caller, TimeProvider time)
{
    private const int MaxListedBatches = 200;

    /// <summary>The waits before each lookup of a batch whose create got no response from the service itself: gateways time out long before services do.</summary>
    private static readonly TimeSpan[] s_lookupDelays = [TimeSpan.Zero, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10)];

    /// <summary>How far the service's clock may be behind.</summary>
    private static readonly TimeSpan s_clockSkew = TimeSpan.FromMinutes(10);

    /// <inheritdoc cref="BatchClient.CreateBatchAsync"/>
    public async Task<Batch> CreateAsync(NewBatch request, RetryPolicy policy, CancellationToken cancellationToken)
    {
        var visibility = new LateVisibility(time);
        while (true)
        {
            try
            {
                return await CreateFromVisibleFileAsync(request, policy, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception) when (exception.Kind == ServiceErrorKind.FileNotFound && LateVisibility.IsRecent(time, request.FileSentAt))
            {
                await visibility.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc cref="BatchClient.FindBatchAsync"/>
    public Task<Batch?> FindAsync(string inputFileId, RetryPolicy policy, CancellationToken cancellationToken) =>
        FindCreatedAsync(
            inputFileId, null, new ServiceException(ServiceErrorKind.ServiceUnavailable, Messages.Text("ServiceUnavailable.List")), policy, cancellationToken);

    private async Task<Batch> CreateFromVisibleFileAsync(NewBatch request, RetryPolicy policy, CancellationToken cancellationToken)
    {
        if (client.Connection.Profile.FilesNeedProcessing)
        {
            await new FileProcessing(client).WaitAsync(request.InputFileId, cancellationToken).ConfigureAwait(false);
        }

        var call = new ServiceCall(HttpMethod.Post, "batches") { Content = _ => JsonContent(request), IsNotIdempotent = true, NotFound = ServiceErrorKind.FileNotFound };
        DateTimeOffset? since = request.IsOnlyBatchOfFile ? null : time.GetUtcNow();
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await caller.CallAsync(call, policy, BatchReader.Read, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception) when (exception.IsAmbiguous)
            {
                bool isLongPause = exception.RetryAfter > RetryPolicy.LongestPause;
                await Task.Delay(RetryPolicy.DelayAfter(attempt, isLongPause ? null : exception.RetryAfter), time, cancellationToken).ConfigureAwait(false);
                foreach (TimeSpan wait in s_lookupDelays)
                {
                    await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
                    if (await FindCreatedAsync(request.InputFileId, since, exception, policy, cancellationToken).ConfigureAwait(false) is { } batch)
                    {
                        return batch;
                    }
                }

                // After an accepted request, the batch most likely exists. A retry would create and bill a second one.
                if (!exception.IsTransient || exception.WasAccepted || isLongPause || attempt >= policy.MaxAttempts)
                {
                    throw OutcomeUnknown(exception, exception, request.InputFileId);
                }
            }
        }
    }

    private async Task<Batch?> FindCreatedAsync(
        string inputFileId, DateTimeOffset? since, ServiceException cause, RetryPolicy policy, CancellationToken cancellationToken)
    {
        DateTimeOffset? earliest = since - s_clockSkew;
        int listed = 0;
        try
        {
            await foreach (Batch batch in client.ListBatchesAsync(null, 100, policy, cancellationToken).ConfigureAwait(false))
            {
                // A batch that failed without a result was not billed, and may be the one that this create replaces.
                bool hasFailed = batch is { Status: BatchStatus.Failed, OutputFileId: null, RequestCounts.Done: 0 };
                if (batch.InputFileId == inputFileId && !(batch.CreatedAt < earliest) && !hasFailed)
                {
                    return batch;
                }

                if (++listed == MaxListedBatches)
                {
                    break;
                }
            }
        }
        catch (ServiceException exception)
        {
            throw OutcomeUnknown(cause, exception, inputFileId);
        }

        return null;
    }

    /// <summary>Returns the error of a create whose outcome stays unknown.</summary>
    /// <param name="cause">The error of the create.</param>
    /// <param name="last">The last error: that of the lookup, if it failed. It decides whether and when to retry.</param>
    /// <param name="inputFileId">The input file of the batch.</param>
    private static ServiceException OutcomeUnknown(ServiceException cause, ServiceException last, string inputFileId) => new(
        last.Kind == ServiceErrorKind.Unauthorized ? last.Kind : ServiceErrorKind.ServiceUnavailable,
        Messages.Text("ServiceUnavailable.CreateUnknown", cause.Message, inputFileId),
        last)
    {
        StatusCode = cause.StatusCode,
        Error = cause.Error,
        RequestId = cause.RequestId,
        RetryAfter = last.RetryAfter,
        IsTransient = last.IsTransient,
        IsOutcomeUnknown = true,
        WasAccepted = cause.WasAccepted,
        NeverSent = true,
    };

    private static ByteArrayContent JsonContent(NewBatch request)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, LineJson.WriterOptions))
        {
            json.WriteStartObject();
            json.WriteString("input_file_id", request.InputFileId);
            json.WriteString("endpoint", request.Endpoint);
            json.WriteString("completion_window", request.CompletionWindow);
            if (request.Metadata is { Count: > 0 } metadata)
            {
                json.WriteStartObject("metadata");
                foreach ((string key, string value) in metadata)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            if (request.WebhookUrl is { } webhook)
            {
                json.WriteString("webhook_url", webhook.AbsoluteUri);
            }

            if (request.OutputExpiresAfter is { } seconds)
            {
                json.WriteStartObject("output_expires_after");
                json.WriteString("anchor", "created_at");
                json.WriteNumber("seconds", seconds);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return new ByteArrayContent(buffer.WrittenMemory.ToArray()) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
    }
}
