using System.Globalization;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>The attempts of a run in its store: the parts of each attempt, and which requests later attempts send again.</summary>
internal sealed class RunAttempts(RunStore store, RunRequests requests)
{
    private readonly Dictionary<RunPart, int[]> _places = [];

    /// <summary>The last attempt that sends each request; null while there is only one attempt.</summary>
    private ushort[]? _lastAttempts;

    /// <summary>The number of attempts that earlier processes wrote.</summary>
    public int CountAtStart { get; private set; }

    /// <summary>Reads which requests the attempts after the first one send.</summary>
    /// <exception cref="RunMismatchException">A part was changed.</exception>
    /// <exception cref="IOException">A part cannot be read.</exception>
    public void Load()
    {
        CountAtStart = store.Attempts;
        for (int attempt = 2; attempt <= CountAtStart; attempt++)
        {
            foreach (RunPart part in store.PartsOf(attempt))
            {
                Mark(_places[part] = PlacesOf(part), attempt);
            }
        }
    }

    /// <summary>The parts of an attempt; empty if the attempt does not exist.</summary>
    public List<PlacedPart> PartsOf(int attempt)
    {
        IReadOnlyList<RunPart> stored = store.PartsOf(attempt);
        var parts = new List<PlacedPart>();
        int next = 0;
        foreach (RunPart part in stored)
        {
            // The first attempt sends all requests, in their order.
            parts.Add(new PlacedPart(part, attempt > 1 ? _places[part]
                : IsMixed(stored) ? _places.TryGetValue(part, out int[]? places) ? places : _places[part] = PlacesOf(part)
                : [.. Enumerable.Range(next, part.File.RequestCount)]));
            next += part.File.RequestCount;
        }

        return parts;
    }

    /// <summary>The last attempt that sends a request.</summary>
    public int LastOf(int place) => Math.Max(1, (int)(_lastAttempts?[place] ?? 1));

    /// <summary>The number of an attempt for its requests, counted from 1. An attempt that the user asked for restarts the count.</summary>
    public int TryNumberOf(int attempt)
    {
        int first = attempt;
        while (first > 1 && !store.IsRetry(first))
        {
            first--;
        }

        return attempt - first + 1;
    }

    /// <summary>Writes an attempt that sends requests again.</summary>
    /// <exception cref="IOException">The disk is full.</exception>
    public void Write(int attempt, IReadOnlyList<int> places, ServiceProfile profile, bool isRetry)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"again-{attempt - 1}.jsonl");
        using var splitter = new FileSplitter(Path.Combine(store.Folder, name), profile.MaxRequests, profile.MaxBytes, checkIds: false);
        foreach (int place in places)
        {
            splitter.Add(requests.Read(place));
        }

        store.AddParts(attempt, splitter.Rename(overwrite: true), isRetry: isRetry ? true : null);
        int next = 0;
        foreach (RunPart part in store.PartsOf(attempt))
        {
            _places[part] = IsMixed(store.PartsOf(attempt)) ? PlacesOf(part) : [.. places.Skip(next).Take(part.File.RequestCount)];
            next += part.File.RequestCount;
        }

        Mark(places, attempt);
    }

    /// <summary>Whether the requests have several endpoints, so that the order of the parts is not that of the requests.</summary>
    private static bool IsMixed(IReadOnlyList<RunPart> parts) => parts.Any(part => part.File.Endpoint != parts[0].File.Endpoint);

    private void Mark(IReadOnlyList<int> places, int attempt)
    {
        _lastAttempts ??= new ushort[requests.Count];
        foreach (int place in places)
        {
            _lastAttempts[place] = (ushort)Math.Min(attempt, ushort.MaxValue);
        }
    }

    private int[] PlacesOf(RunPart part)
    {
        using var stored = new StoredRequestReader([part]);
        var places = new List<int>(part.File.RequestCount);
        for (; stored.Peek() is { } next; stored.Advance())
        {
            int place = requests.Find(next.Request.CustomId);
            places.Add(place >= 0 ? place : throw new RunMismatchException(Messages.Text("CheckpointMismatch.PartChanged", part.File.Path)));
        }

        return [.. places];
    }
}
