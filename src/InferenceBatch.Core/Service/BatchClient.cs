using System.Buffers;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Json;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>
/// The Batch API, one method a route. Every method throws <see cref="ServiceException"/> when the service says no or
/// cannot be reached, after the tries its <see cref="RetryPolicy"/> allows, and <see cref="OperationCanceledException"/>.
/// </summary>
public sealed class BatchClient
{
    /// <summary>When the newest batches are looked through for one whose create the service itself did not answer: gateways give up long before services do.</summary>
    private static readonly TimeSpan[] s_looks = [TimeSpan.Zero, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10)];

    /// <summary>How far the service's clock may be behind.</summary>
    private static readonly TimeSpan s_clockSkew = TimeSpan.FromMinutes(10);

    private readonly HttpMessageInvoker _http;
    private readonly HttpCaller _caller;
    private readonly TimeProvider _time;

    /// <param name="connection">Where calls go.</param>
    /// <param name="time">Read for waits; the system's when null.</param>
    /// <param name="warn">Told what a person should know and no call fails for.</param>
    /// <param name="http">Sends the calls, and must not follow redirects itself; the process's own when null.</param>
    public BatchClient(ServiceConnection connection, TimeProvider? time = null, Action<string>? warn = null, HttpMessageInvoker? http = null)
    {
        Connection = connection;
        _time = time ?? TimeProvider.System;
        _http = http ?? HttpCaller.Shared;
        _caller = new HttpCaller(connection, _http, _time, warn);
    }

    public ServiceConnection Connection { get; }

    internal TimeProvider Time => _time;

    private ServiceProfile Profile => Connection.Profile;

    /// <summary>POST /files: sends a file, streamed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="fileName">The name the service is told; made plain and given <c>.jsonl</c> where it lacks it.</param>
    /// <param name="expiresAfter">Seconds after which the service may delete it; null for its own rule.</param>
    /// <param name="progress">Told the bytes of the file sent so far; begins anew with each try.</param>
    /// <param name="offset">Bytes at the file's start that are not sent, such as a byte order mark.</param>
    /// <param name="policy">How often to try; <see cref="RetryPolicy.Interactive"/> when null.</param>
    /// <exception cref="IOException">The file cannot be read (<see cref="FileUnreadableException"/>), or changed meanwhile (<see cref="FileChangedException"/>).</exception>
    public Task<BatchFile> UploadFileAsync(
        string path, string fileName, int? expiresAfter = null, IProgress<long>? progress = null, long offset = 0,
        RetryPolicy? policy = null, CancellationToken cancellationToken = default)
    {
        List<(string, string)> fields = [("purpose", Profile.Purpose)];
        if (Profile.NamesFileInFields)
        {
            fields.Add(("file_name", UploadContent.PlainName(fileName)));
            fields.Add(("file_type", "jsonl"));
        }

        if (expiresAfter is { } seconds)
        {
            fields.Add(("expires_after[anchor]", "created_at"));
            fields.Add(("expires_after[seconds]", seconds.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        }

        var call = new ServiceCall(HttpMethod.Post, Profile.UploadPath)
        {
            Content = alive => new UploadContent(path, fileName, fields, new ActivityProgress(alive, progress), offset),
        };
        return _caller.CallAsync(call, policy ?? RetryPolicy.Interactive, BatchFileReader.Read, cancellationToken);
    }

    /// <summary>GET /files/{id}.</summary>
    public Task<BatchFile> GetFileAsync(string id, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(FileCall(HttpMethod.Get, id), RetryPolicy.Interactive, BatchFileReader.Read, cancellationToken);

    /// <summary>DELETE /files/{id}.</summary>
    public Task DeleteFileAsync(string id, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(FileCall(HttpMethod.Delete, id), RetryPolicy.Interactive, _ => true, cancellationToken);

    /// <summary>GET /files, page after page.</summary>
    /// <param name="purpose">Only files of that purpose; null for all.</param>
    public IAsyncEnumerable<BatchFile> ListFilesAsync(string? purpose = null, CancellationToken cancellationToken = default) =>
        ListAsync(
            "files?limit=100" + (purpose is null ? "" : "&purpose=" + Uri.EscapeDataString(purpose)),
            null, 100, BatchFileReader.Read, file => file.Id, RetryPolicy.Interactive, cancellationToken);

    /// <summary>GET /files/{id}/content, from a byte on. A service that knows no ranges answers from the start: see the status.</summary>
    public Task<HttpResponseMessage> OpenContentAsync(
        string id, long rangeStart = 0, RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        OpenContentAsync(id, rangeStart, 0, policy ?? RetryPolicy.Interactive, cancellationToken);

    /// <param name="id">The file.</param>
    /// <param name="rangeStart">The first byte wanted.</param>
    /// <param name="skippedLines">The lines left out at the start; see <see cref="ServiceProfile.ContentOffsetIsInLines"/>.</param>
    /// <param name="policy">How often to try.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal Task<HttpResponseMessage> OpenContentAsync(
        string id, long rangeStart, long skippedLines, RetryPolicy policy, CancellationToken cancellationToken) =>
        _caller.OpenAsync(
            new ServiceCall(
                HttpMethod.Get,
                $"files/{ServiceCall.Escape(id, ServiceErrorKind.FileNotFound)}/content{(skippedLines > 0 ? $"?offset={skippedLines}" : "")}")
            {
                NotFound = ServiceErrorKind.FileNotFound,
                RangeStart = rangeStart,
            },
            policy,
            cancellationToken);

    /// <summary>The content of a file as one stream that survives broken connections.</summary>
    public Stream ReadContent(string id) => new ContentStream(this, id);

    /// <summary>
    /// POST /batches. The API has no idempotency key: when it is unknown whether a try was carried out, the newest
    /// batches are looked through for one with this input file before the next. Where the provider takes processed files
    /// only (<see cref="ServiceProfile.FilesNeedProcessing"/>), the file is waited for first, up to a quarter of an hour. A
    /// file that was sent minutes ago and is not found is waited for too; see <see cref="NewBatch.FileSentAt"/>.
    /// </summary>
    /// <param name="request">What to create.</param>
    /// <param name="policy">How often to try; <see cref="RetryPolicy.Interactive"/> when null.</param>
    /// <exception cref="ServiceException">With <see cref="ServiceException.IsOutcomeUnknown"/> where a batch may have been created.</exception>
    public async Task<Batch> CreateBatchAsync(NewBatch request, RetryPolicy? policy = null, CancellationToken cancellationToken = default)
    {
        policy ??= RetryPolicy.Interactive;
        var visibility = new LateVisibility(_time);
        while (true)
        {
            try
            {
                return await CreateOnceVisibleAsync(request, policy, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception) when (exception.Kind == ServiceErrorKind.FileNotFound && LateVisibility.IsRecent(_time, request.FileSentAt))
            {
                await visibility.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task<Batch> CreateOnceVisibleAsync(NewBatch request, RetryPolicy policy, CancellationToken cancellationToken)
    {
        if (Profile.FilesNeedProcessing)
        {
            await new FileProcessing(this).WaitAsync(request.InputFileId, cancellationToken).ConfigureAwait(false);
        }

        var call = new ServiceCall(HttpMethod.Post, "batches") { Content = _ => JsonContent(request), IsOnceOnly = true, NotFound = ServiceErrorKind.FileNotFound };
        DateTimeOffset? since = request.IsOnlyBatchOfFile ? null : _time.GetUtcNow();
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await _caller.CallAsync(call, policy, BatchReader.Read, cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception) when (exception.IsAmbiguous)
            {
                bool isLongPause = exception.RetryAfter > RetryPolicy.LongestPause;
                await Task.Delay(RetryPolicy.DelayAfter(attempt, isLongPause ? null : exception.RetryAfter), _time, cancellationToken).ConfigureAwait(false);
                foreach (TimeSpan wait in s_looks)
                {
                    await Task.Delay(wait, _time, cancellationToken).ConfigureAwait(false);
                    if (await FindCreatedAsync(request.InputFileId, since, exception, policy, cancellationToken).ConfigureAwait(false) is { } batch)
                    {
                        return batch;
                    }
                }

                // What was accepted is most likely made, and would be made and billed again.
                if (!exception.IsTransient || exception.WasAccepted || isLongPause || attempt >= policy.MaxAttempts)
                {
                    throw Unknown(exception, exception, request.InputFileId);
                }
            }
        }
    }

    /// <summary>Looks through the newest batches for one made of an input file; null when there is none.</summary>
    /// <param name="inputFileId">The file, which was sent for one batch alone.</param>
    /// <param name="policy">How often to try each call; <see cref="RetryPolicy.Interactive"/> when null.</param>
    /// <exception cref="ServiceException">The list cannot be read, so that nothing is known; with <see cref="ServiceException.IsOutcomeUnknown"/>.</exception>
    public Task<Batch?> FindBatchAsync(string inputFileId, RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        FindCreatedAsync(
            inputFileId, null, new ServiceException(ServiceErrorKind.ServiceUnavailable, Messages.Text("ServiceUnavailable.List")),
            policy ?? RetryPolicy.Interactive, cancellationToken);

    /// <summary>GET /batches/{id}.</summary>
    public Task<Batch> GetBatchAsync(string id, RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(BatchCall(HttpMethod.Get, id, ""), policy ?? RetryPolicy.Interactive, BatchReader.Read, cancellationToken);

    /// <summary>POST /batches/{id}/cancel.</summary>
    public Task<Batch> CancelBatchAsync(string id, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(
            BatchCall(HttpMethod.Post, id, "/cancel") with { IsCancel = true }, RetryPolicy.Interactive, BatchReader.Read, cancellationToken);

    /// <summary>GET /batches, newest first, page after page.</summary>
    /// <param name="after">The id to go on behind; null to begin with the newest.</param>
    /// <param name="pageSize">Batches a call, 1 to 100.</param>
    public IAsyncEnumerable<Batch> ListBatchesAsync(string? after = null, int pageSize = 100, CancellationToken cancellationToken = default) =>
        ListBatchesAsync(after, pageSize, RetryPolicy.Interactive, cancellationToken);

    /// <summary>GET /healthz: what answers at the address, asked once and without the key; null where nothing does within five seconds.</summary>
    public Task<ServiceInstance?> FindInstanceAsync(CancellationToken cancellationToken = default) =>
        new InstanceProbe(Connection.BaseUri, _http, _time).AskAsync(cancellationToken);

    /// <summary>GET /models: the ids of the models the service has.</summary>
    public Task<IReadOnlyList<string>> ListModelsAsync(RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(
            new ServiceCall(HttpMethod.Get, "models") { IsAside = true }, policy ?? RetryPolicy.Interactive,
            json => Page<string?>.Read(json, item => item.Field("id").Text()).Items.OfType<string>().ToList() as IReadOnlyList<string>,
            cancellationToken);

    /// <summary>GET /healthz of a local service: what keeps its batches waiting, a sentence each; empty when nothing does or it does not say.</summary>
    public async Task<IReadOnlyList<string>> ListTroublesAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            return await _caller.CallAsync(
                new ServiceCall(HttpMethod.Get, "healthz") { IsAside = true }, RetryPolicy.Once,
                json => Read(json, health => health.Field("troubles")?.EnumerateArray().Select(trouble => trouble.Field("message").Text()).OfType<string>().ToArray() ?? []),
                cancellationToken).ConfigureAwait(false);
        }
        catch (ServiceException)
        {
            return [];
        }
    }

    /// <summary>GET /batches/{id}/statistics of a local service: how often it sent lines again; null when it does not say.</summary>
    public async Task<RetryCounts?> FindRetriesAsync(string batchId, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _caller.CallAsync(
                BatchCall(HttpMethod.Get, batchId, "/statistics") with { IsAside = true }, RetryPolicy.Once,
                json => Read(json, statistics => statistics.Field("retries") is { } retries ? RetryCountsReader.Read(retries) : null),
                cancellationToken).ConfigureAwait(false);
        }
        catch (ServiceException)
        {
            return null;
        }
    }

    private static T Read<T>(ReadOnlyMemory<byte> json, Func<JsonElement, T> read)
    {
        using JsonDocument document = BrokenText.Parse(json);
        return read(document.RootElement);
    }

    private IAsyncEnumerable<Batch> ListBatchesAsync(string? after, int pageSize, RetryPolicy policy, CancellationToken cancellationToken) =>
        ListAsync($"batches?limit={pageSize}", after, pageSize, BatchReader.Read, batch => batch.Id, policy, cancellationToken);

    /// <remarks>Ends on a page that is short, says there is no more, or ends with the id the page before ended with.</remarks>
    private async IAsyncEnumerable<T> ListAsync<T>(
        string path, string? after, int pageSize, Func<JsonElement, T> read, Func<T, string> idOf, RetryPolicy policy,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var call = new ServiceCall(HttpMethod.Get, after is null ? path : $"{path}&after={Uri.EscapeDataString(after)}");
            Page<T> page = await _caller.CallAsync(call, policy, json => Page<T>.Read(json, read), cancellationToken).ConfigureAwait(false);
            string? last = page.Items.Count > 0 ? idOf(page.Items[^1]) : null;
            if (last is null || last == after)
            {
                yield break;
            }

            foreach (T item in page.Items)
            {
                yield return item;
            }

            if (!(page.HasMore ?? page.Items.Count >= pageSize))
            {
                yield break;
            }

            after = last;
        }
    }

    private async Task<Batch?> FindCreatedAsync(
        string inputFileId, DateTimeOffset? since, ServiceException cause, RetryPolicy policy, CancellationToken cancellationToken)
    {
        const int NewestLookedAt = 200;
        DateTimeOffset? earliest = since - s_clockSkew;
        int looked = 0;
        try
        {
            await foreach (Batch batch in ListBatchesAsync(null, 100, policy, cancellationToken).ConfigureAwait(false))
            {
                // A batch that failed with nothing answered was not billed, and is perhaps the very one that is to be made anew.
                bool isNone = batch is { Status: BatchStatus.Failed, OutputFileId: null, RequestCounts.Done: 0 };
                if (batch.InputFileId == inputFileId && !(batch.CreatedAt < earliest) && !isNone)
                {
                    return batch;
                }

                if (++looked == NewestLookedAt)
                {
                    break;
                }
            }
        }
        catch (ServiceException exception)
        {
            throw Unknown(cause, exception, inputFileId);
        }

        return null;
    }

    /// <summary>The error of a create whose outcome stayed unknown.</summary>
    /// <param name="cause">What went wrong with the create.</param>
    /// <param name="last">What went wrong last: with looking for its batch, where that failed. It decides whether and when to try again.</param>
    /// <param name="inputFileId">The file the batch was to be created from.</param>
    private static ServiceException Unknown(ServiceException cause, ServiceException last, string inputFileId) => new(
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

    private static ServiceCall FileCall(HttpMethod method, string id) =>
        new(method, "files/" + ServiceCall.Escape(id, ServiceErrorKind.FileNotFound)) { NotFound = ServiceErrorKind.FileNotFound };

    private static ServiceCall BatchCall(HttpMethod method, string id, string action) =>
        new(method, $"batches/{ServiceCall.Escape(id, ServiceErrorKind.BatchNotFound)}{action}") { NotFound = ServiceErrorKind.BatchNotFound };

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

    private sealed class ActivityProgress(Action alive, IProgress<long>? progress) : IProgress<long>
    {
        public void Report(long value)
        {
            alive();
            progress?.Report(value);
        }
    }
}
