using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Views;

namespace InferenceBatch.Session;

/// <summary>
/// State between calls. Each runspace has its default connection (<see cref="SessionScope"/>). The process remembers where objects came
/// from (so that <c>New-Batch -BaseUri … | Wait-Batch</c> calls the same service, also in another runspace), which failures were reported,
/// and words for completion.
/// </summary>
internal static class SessionMemory
{
    private const int MaxResolved = 32;
    private const string SeenHere = "seen in this session";

    private static readonly ConditionalWeakTable<object, ServiceConnection> s_origins = [];
    private static readonly ConditionalWeakTable<Batch, object> s_reported = [];
    private static readonly ConditionalWeakTable<BatchFile, object> s_used = [];
    private static readonly ConcurrentDictionary<string, long> s_sent = new();
    private static readonly object s_mark = new();
    private static readonly List<ServiceConnection> s_resolved = [];

    /// <summary>Gets or sets the default connection of this runspace; set by Connect-BatchService, Disconnect-BatchService and Start-BatchServer.</summary>
    public static ServiceConnection? Default
    {
        get => SessionScope.Current.Connection;
        set => SessionScope.Current.Connection = value;
    }

    /// <summary>Gets the IDs of batches, each with its status.</summary>
    public static CompletionCache Batches { get; } = new();

    /// <summary>Gets the IDs of input files.</summary>
    public static CompletionCache InputFiles { get; } = new();

    /// <summary>Gets the IDs of output and error files.</summary>
    public static CompletionCache OutputFiles { get; } = new();

    public static CompletionCache Models { get; } = new();

    /// <summary>Gets the metadata keys of batches, each with its latest value.</summary>
    public static CompletionCache Metadata { get; } = new();

    /// <summary>Remembers the connection and the names of a batch or file.</summary>
    /// <param name="item">The batch or file.</param>
    /// <param name="origin">Its connection.</param>
    /// <param name="isListed">Whether it came from a list.</param>
    public static T Remember<T>(T item, ServiceConnection origin, bool isListed = false)
        where T : class
    {
        s_origins.AddOrUpdate(item, origin);
        if (item is Batch batch)
        {
            Note(batch, isListed);
        }
        else if (item is BatchFile file)
        {
            Note(file, isListed);
        }

        return item;
    }

    /// <summary>Remembers that this process has just uploaded a file.</summary>
    public static void NoteSent(BatchFile file) => s_sent[file.Id] = TimeProvider.System.GetTimestamp();

    /// <summary>Forgets a deleted file.</summary>
    public static void NoteDeleted(string fileId) => s_sent.TryRemove(fileId, out _);

    /// <summary>Returns when this process uploaded a file, as a timestamp; null if it did not.</summary>
    public static long? SentAt(string fileId) => s_sent.TryGetValue(fileId, out long sent) ? sent : null;

    public static void NoteModels(IEnumerable<string?> models)
    {
        foreach (string? model in models)
        {
            Models.Add(model, SeenHere);
        }
    }

    public static ServiceConnection? OriginOf(object? item) =>
        item is not null && s_origins.TryGetValue(item, out ServiceConnection? origin) ? origin : null;

    /// <summary>Whether the failure of a batch is reported for the first time, so that a pipeline reports it only once.</summary>
    public static bool IsFirstReport(Batch batch) => s_reported.TryAdd(batch, s_mark);

    /// <summary>
    /// Whether a file was uploaded in this session and no batch was created from it yet. Then any batch of this file is the one being
    /// created.
    /// </summary>
    public static bool IsFirstBatchOf(BatchFile? file) => file?.Endpoint is not null && s_used.TryAdd(file, s_mark);

    /// <summary>
    /// Returns an equal connection that was resolved before, if there is one. It keeps which address works, and the time of its last
    /// upload. Several connections are kept, because runspaces may use different services in turn.
    /// </summary>
    public static ServiceConnection Unify(ServiceConnection connection)
    {
        lock (s_resolved)
        {
            ServiceConnection unified = s_resolved.Find(known => known.IsSameService(connection)) ?? connection;
            s_resolved.Remove(unified);
            s_resolved.Add(unified);
            if (s_resolved.Count > MaxResolved)
            {
                s_resolved.RemoveAt(0);
            }

            return unified;
        }
    }

    private static void Note(Batch batch, bool isListed)
    {
        string progress = batch.RequestCounts.Total > 0 ? string.Create(CultureInfo.CurrentCulture, $", {batch.RequestCounts.Done:N0} of {batch.RequestCounts.Total:N0} done") : "";
        Batches.Add(batch.Id, ViewText.Status(batch) + progress, isListed);
        InputFiles.Add(batch.InputFileId, $"input of {batch.Id}", isListed);
        OutputFiles.Add(batch.ErrorFileId, $"errors of {batch.Id}", isListed);
        OutputFiles.Add(batch.OutputFileId, $"output of {batch.Id}", isListed);
        Models.Add(batch.Model, SeenHere, isListed);
        foreach ((string key, string value) in batch.Metadata)
        {
            Metadata.Add(key, value, isListed);
        }
    }

    private static void Note(BatchFile file, bool isListed)
    {
        bool isOutput = file.Purpose is { } purpose && (purpose.Contains("output", StringComparison.OrdinalIgnoreCase) || purpose.Contains("error", StringComparison.OrdinalIgnoreCase));
        string requests = file.RequestCount is { } count ? PluralFormat.Text($"{count:N0} {count:request|requests}") : "";
        string note = string.Join(", ", new[] { file.FileName, requests, file.Status }.Where(part => !string.IsNullOrEmpty(part)));
        (isOutput ? OutputFiles : InputFiles).Add(file.Id, note, isListed);
    }
}
