using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Views;

namespace InferenceBatch.Session;

/// <summary>
/// What is remembered between calls: by each runspace its default connection (<see cref="SessionScope"/>); by the process
/// where an object came from (so that <c>New-Batch -BaseUri … | Wait-Batch</c> asks the same service, also where another
/// runspace takes it on), what was reported, and words seen, for completion.
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

    /// <summary>The default of this runspace, set by Connect-BatchService, Disconnect-BatchService and Start-BatchServer.</summary>
    public static ServiceConnection? Default
    {
        get => SessionScope.Current.Connection;
        set => SessionScope.Current.Connection = value;
    }

    /// <summary>Ids of batches, each with its status.</summary>
    public static CompletionCache Batches { get; } = new();

    /// <summary>Ids of files that batches are made of.</summary>
    public static CompletionCache InputFiles { get; } = new();

    /// <summary>Ids of files that batches have written.</summary>
    public static CompletionCache OutputFiles { get; } = new();

    public static CompletionCache Models { get; } = new();

    /// <summary>Metadata keys of batches, each with its latest value.</summary>
    public static CompletionCache Metadata { get; } = new();

    /// <summary>Remembers where a batch or file came from, and its names.</summary>
    /// <param name="item">The batch or file.</param>
    /// <param name="origin">Where it is.</param>
    /// <param name="isListed">Whether it was one of a list.</param>
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

    /// <summary>Notes that this process has just sent a file.</summary>
    public static void NoteSent(BatchFile file) => s_sent[file.Id] = TimeProvider.System.GetTimestamp();

    /// <summary>Notes that a file is deleted.</summary>
    public static void NoteDeleted(string fileId) => s_sent.TryRemove(fileId, out _);

    /// <summary>When this process sent a file, as a time stamp; null when it did not.</summary>
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

    /// <summary>Whether this is the first time that the failure of a batch is reported, so that a pipeline says it once.</summary>
    public static bool IsFirstReport(Batch batch) => s_reported.TryAdd(batch, s_mark);

    /// <summary>Whether a file was sent in this session and no batch was made of it yet: then any batch of it is the one being made.</summary>
    public static bool IsFirstBatchOf(BatchFile? file) => file?.Endpoint is not null && s_used.TryAdd(file, s_mark);

    /// <summary>
    /// A connection resolved lately if it is the same as this one: what it learnt of its addresses, and when it last
    /// uploaded, is kept. Several runspaces may use several services by turns.
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
