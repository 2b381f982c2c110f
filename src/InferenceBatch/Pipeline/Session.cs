using System.Runtime.CompilerServices;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Pipeline;

/// <summary>
/// What the process remembers between calls: the default connection, where an object came from (so that
/// <c>New-Batch -BaseUri … | Wait-Batch</c> asks the same service), what was reported, and ids seen, for completion.
/// </summary>
internal static class Session
{
    private const int MaxRemembered = 50;

    private static readonly ConditionalWeakTable<object, ServiceConnection> s_origins = [];
    private static readonly ConditionalWeakTable<Batch, object> s_reported = [];
    private static readonly ConditionalWeakTable<BatchFile, object> s_used = [];
    private static readonly LinkedList<(string Id, string Note)> s_batches = [];
    private static readonly object s_gate = new();
    private static ServiceConnection? s_resolved;

    /// <summary>Set by Connect-BatchService and Start-BatchServer.</summary>
    public static ServiceConnection? Default { get; set; }

    /// <summary>Ids of batches seen lately, newest first, each with its status.</summary>
    public static IReadOnlyList<(string Id, string Note)> RecentBatches
    {
        get
        {
            lock (s_gate)
            {
                return [.. s_batches];
            }
        }
    }

    public static T Remember<T>(T item, ServiceConnection origin)
        where T : class
    {
        s_origins.AddOrUpdate(item, origin);
        if (item is Batch batch)
        {
            RememberId(batch.Id, batch.RawStatus);
        }

        return item;
    }

    public static ServiceConnection? OriginOf(object? item) =>
        item is not null && s_origins.TryGetValue(item, out ServiceConnection? origin) ? origin : null;

    /// <summary>Whether this is the first time that the failure of a batch is reported, so that a pipeline says it once.</summary>
    public static bool IsFirstReport(Batch batch) => s_reported.TryAdd(batch, s_gate);

    /// <summary>Whether a file was sent in this session and no batch was made of it yet: then any batch of it is the one being made.</summary>
    public static bool IsFirstBatchOf(BatchFile? file) => file?.Endpoint is not null && s_used.TryAdd(file, s_gate);

    /// <summary>The connection resolved last time if it is the same as this one: what it learnt of its addresses is kept.</summary>
    public static ServiceConnection Unify(ServiceConnection connection)
    {
        if (s_resolved is { } known && known.IsSameService(connection))
        {
            return known;
        }

        s_resolved = connection;
        return connection;
    }

    private static void RememberId(string id, string note)
    {
        lock (s_gate)
        {
            for (LinkedListNode<(string Id, string Note)>? node = s_batches.First; node is not null; node = node.Next)
            {
                if (node.Value.Id == id)
                {
                    s_batches.Remove(node);
                    break;
                }
            }

            s_batches.AddFirst((id, note));
            if (s_batches.Count > MaxRemembered)
            {
                s_batches.RemoveLast();
            }
        }
    }
}
