using System.Runtime.CompilerServices;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Service;

/// <summary>
/// The Batch API, with one method per route. Every method throws <see cref="ServiceException"/> if the service refuses the
/// call or cannot be reached, after the attempts that its <see cref="RetryPolicy"/> allows, and
/// <see cref="OperationCanceledException"/>.
/// </summary>
public sealed class BatchClient
{
    /// <summary>How long <see cref="FindInstanceAsync"/> waits for a response.</summary>
    private static readonly TimeSpan s_probeTimeout = TimeSpan.FromSeconds(5);

    private readonly HttpMessageInvoker _http;
    private readonly HttpCaller _caller;
    private readonly BatchCreator _creator;
    private readonly TimeProvider _time;

    /// <param name="connection">The service.</param>
    /// <param name="time">The clock for waits; the system clock if null.</param>
    /// <param name="warn">Called with warnings for the user that do not fail a call.</param>
    /// <param name="http">Sends the requests, and must not follow redirects itself; <see cref="HttpCaller.Shared"/> if null.</param>
    public BatchClient(ServiceConnection connection, TimeProvider? time = null, Action<string>? warn = null, HttpMessageInvoker? http = null)
    {
        Connection = connection;
        _time = time ?? TimeProvider.System;
        _http = http ?? HttpCaller.Shared;
        _caller = new HttpCaller(connection, _http, _time, warn);
        _creator = new BatchCreator(this, _caller, _time);
    }

    public ServiceConnection Connection { get; }

    internal TimeProvider Time => _time;

    private ServiceProfile Profile => Connection.Profile;

    /// <summary>POST /files: uploads a file as a stream.</summary>
    /// <param name="path">The file.</param>
    /// <param name="fileName">The file name for the service. Unsafe characters are replaced, and <c>.jsonl</c> is added if it is missing.</param>
    /// <param name="expiresAfter">The seconds after which the service may delete the file; null for its default.</param>
    /// <param name="progress">Receives the number of bytes of the file that were sent; starts again with each attempt.</param>
    /// <param name="offset">The number of bytes at the start of the file that are not sent, such as a byte order mark.</param>
    /// <param name="policy">The number of attempts; <see cref="RetryPolicy.Interactive"/> if null.</param>
    /// <exception cref="IOException">The file cannot be read (<see cref="FileUnreadableException"/>), or changed during the upload (<see cref="FileChangedException"/>).</exception>
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
            Content = onActivity => new UploadContent(path, fileName, fields, new ActivityProgress(onActivity, progress), offset),
        };
        return _caller.CallAsync(call, policy ?? RetryPolicy.Interactive, BatchFileReader.Read, cancellationToken);
    }

    /// <summary>GET /files/{id}.</summary>
    public Task<BatchFile> GetFileAsync(string id, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(FileCall(HttpMethod.Get, id), RetryPolicy.Interactive, BatchFileReader.Read, cancellationToken);

    /// <summary>DELETE /files/{id}.</summary>
    public Task DeleteFileAsync(string id, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(FileCall(HttpMethod.Delete, id), RetryPolicy.Interactive, _ => true, cancellationToken);

    /// <summary>GET /files, page by page.</summary>
    /// <param name="purpose">Returns only files with this purpose; null for all files.</param>
    public IAsyncEnumerable<BatchFile> ListFilesAsync(string? purpose = null, CancellationToken cancellationToken = default) =>
        ListAsync(
            "files?limit=100" + (purpose is null ? "" : "&purpose=" + Uri.EscapeDataString(purpose)),
            null, 100, BatchFileReader.Read, file => file.Id, RetryPolicy.Interactive, cancellationToken);

    /// <summary>GET /files/{id}/content from a byte offset. A service without range support responds with the whole file: check the status.</summary>
    public Task<HttpResponseMessage> OpenContentAsync(
        string id, long rangeStart = 0, RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        OpenContentAsync(id, rangeStart, 0, policy ?? RetryPolicy.Interactive, cancellationToken);

    /// <param name="id">The file.</param>
    /// <param name="rangeStart">The offset of the first byte.</param>
    /// <param name="skippedLines">The number of lines to skip at the start; see <see cref="ServiceProfile.ContentOffsetIsInLines"/>.</param>
    /// <param name="policy">The number of attempts.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
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

    /// <summary>Returns the content of a file as one stream that survives broken connections.</summary>
    public Stream ReadContent(string id) => new ContentStream(this, id);

    /// <summary>
    /// POST /batches. The API has no idempotency key: after an attempt with an unknown outcome, the client first looks for
    /// this input file among the newest batches. If the provider accepts only processed files
    /// (<see cref="ServiceProfile.FilesNeedProcessing"/>), it first waits up to 15 minutes for the file. If the service does
    /// not find a file that was uploaded minutes ago, the create is retried; see <see cref="NewBatch.FileSentAt"/>.
    /// </summary>
    /// <param name="request">The batch to create.</param>
    /// <param name="policy">The number of attempts; <see cref="RetryPolicy.Interactive"/> if null.</param>
    /// <exception cref="ServiceException">With <see cref="ServiceException.IsOutcomeUnknown"/> if a batch may have been created.</exception>
    public Task<Batch> CreateBatchAsync(NewBatch request, RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        _creator.CreateAsync(request, policy ?? RetryPolicy.Interactive, cancellationToken);

    /// <summary>Looks for a batch with an input file among the newest batches; returns null if there is none.</summary>
    /// <param name="inputFileId">The file, which was uploaded for a single batch.</param>
    /// <param name="policy">The number of attempts for each call; <see cref="RetryPolicy.Interactive"/> if null.</param>
    /// <exception cref="ServiceException">The list cannot be read, so the outcome is unknown; with <see cref="ServiceException.IsOutcomeUnknown"/>.</exception>
    public Task<Batch?> FindBatchAsync(string inputFileId, RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        _creator.FindAsync(inputFileId, policy ?? RetryPolicy.Interactive, cancellationToken);

    /// <summary>GET /batches/{id}.</summary>
    public Task<Batch> GetBatchAsync(string id, RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(BatchCall(HttpMethod.Get, id, ""), policy ?? RetryPolicy.Interactive, BatchReader.Read, cancellationToken);

    /// <summary>POST /batches/{id}/cancel.</summary>
    public Task<Batch> CancelBatchAsync(string id, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(
            BatchCall(HttpMethod.Post, id, "/cancel") with { IsCancel = true }, RetryPolicy.Interactive, BatchReader.Read, cancellationToken);

    /// <summary>GET /batches, newest first, page by page.</summary>
    /// <param name="after">The ID after which the list starts; null to start with the newest batch.</param>
    /// <param name="pageSize">Batches per call, 1 to 100.</param>
    public IAsyncEnumerable<Batch> ListBatchesAsync(string? after = null, int pageSize = 100, CancellationToken cancellationToken = default) =>
        ListBatchesAsync(after, pageSize, RetryPolicy.Interactive, cancellationToken);

    /// <summary>
    /// GET /healthz: identifies what responds at the address. Sends one request without the key, because the receiver is not
    /// known yet. Returns null if nothing responds within five seconds.
    /// </summary>
    public async Task<ServiceInstance?> FindInstanceAsync(CancellationToken cancellationToken = default)
    {
        using var timeout = new CancellationTokenSource(s_probeTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{Connection.BaseUri.AbsoluteUri.TrimEnd('/')}/healthz");
        try
        {
            using HttpResponseMessage response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            return ServiceInstance.Of(response.Headers);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return null;
        }
    }

    /// <summary>GET /models: returns the IDs of the service's models.</summary>
    public Task<IReadOnlyList<string>> ListModelsAsync(RetryPolicy? policy = null, CancellationToken cancellationToken = default) =>
        _caller.CallAsync(
            new ServiceCall(HttpMethod.Get, "models") { IsOptionalRoute = true }, policy ?? RetryPolicy.Interactive,
            json => Page<string?>.Read(json, item => item.Field("id").Text()).Items.OfType<string>().ToList() as IReadOnlyList<string>,
            cancellationToken);

    /// <summary>GET /healthz of a local service: returns the reasons why its batches wait, one sentence each. Empty if there are none or the service does not tell.</summary>
    public async Task<IReadOnlyList<string>> ListHealthIssuesAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            return await _caller.CallAsync(
                new ServiceCall(HttpMethod.Get, "healthz") { IsOptionalRoute = true }, RetryPolicy.Once,
                json => Read(json, health => health.Field("troubles")?.EnumerateArray().Select(issue => issue.Field("message").Text()).OfType<string>().ToArray() ?? []),
                cancellationToken).ConfigureAwait(false);
        }
        catch (ServiceException)
        {
            return [];
        }
    }

    /// <summary>GET /batches/{id}/statistics of a local service: returns how often it retried lines; null if it does not tell.</summary>
    public async Task<RetryCounts?> FindRetryCountsAsync(string batchId, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _caller.CallAsync(
                BatchCall(HttpMethod.Get, batchId, "/statistics") with { IsOptionalRoute = true }, RetryPolicy.Once,
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

    internal IAsyncEnumerable<Batch> ListBatchesAsync(string? after, int pageSize, RetryPolicy policy, CancellationToken cancellationToken) =>
        ListAsync($"batches?limit={pageSize}", after, pageSize, BatchReader.Read, batch => batch.Id, policy, cancellationToken);

    /// <remarks>
    /// Returns each item once. Ends at a page that says that it is the last, is empty, or has only items of earlier pages: a
    /// service may ignore <c>after</c>. A page that is not full is not the end, because a service may have smaller pages than
    /// requested. But if it does not say whether there are more, and the service refuses <c>after</c>, the list is complete.
    /// </remarks>
    private async IAsyncEnumerable<T> ListAsync<T>(
        string path, string? after, int pageSize, Func<JsonElement, T> read, Func<T, string> idOf, RetryPolicy policy,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        HashSet<string> seen = after is null ? [] : [after];
        bool isLikelyComplete = false;
        while (true)
        {
            var call = new ServiceCall(HttpMethod.Get, after is null ? path : $"{path}&after={Uri.EscapeDataString(after)}");
            Page<T> page;
            try
            {
                page = await _caller.CallAsync(call, policy, json => Page<T>.Read(json, read), cancellationToken).ConfigureAwait(false);
            }
            catch (ServiceException exception) when (isLikelyComplete
                && exception.Kind is ServiceErrorKind.ServiceRejected or ServiceErrorKind.NotSupportedByService)
            {
                yield break;
            }

            int known = seen.Count;
            foreach (T item in page.Items)
            {
                if (seen.Add(idOf(item)))
                {
                    yield return item;
                }
            }

            if (seen.Count == known || page.HasMore == false)
            {
                yield break;
            }

            after = idOf(page.Items[^1]);
            isLikelyComplete = page.HasMore is null && page.Items.Count < pageSize;
        }
    }

    private static ServiceCall FileCall(HttpMethod method, string id) =>
        new(method, "files/" + ServiceCall.Escape(id, ServiceErrorKind.FileNotFound)) { NotFound = ServiceErrorKind.FileNotFound };

    private static ServiceCall BatchCall(HttpMethod method, string id, string action) =>
        new(method, $"batches/{ServiceCall.Escape(id, ServiceErrorKind.BatchNotFound)}{action}") { NotFound = ServiceErrorKind.BatchNotFound };

    private sealed class ActivityProgress(Action onActivity, IProgress<long>? progress) : IProgress<long>
    {
        public void Report(long value)
        {
            onActivity();
            progress?.Report(value);
        }
    }
}
