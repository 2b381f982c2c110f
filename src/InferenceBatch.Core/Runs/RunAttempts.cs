using System.Globalization;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>The attempts of a run, as its store holds them: the parts of each, and which requests a later attempt sends again.</summary>
internal sealed class RunAttempts(RunStore store, RunRequests requests)
{
    private readonly Dictionary<RunPart, int[]> _places = [];

    /// <summary>For each request the last attempt that sends it; null while there is only one attempt.</summary>
    private ushort[]? _last;

    /// <summary>How many attempts an earlier process had written.</summary>
    public int CountAtStart { get; private set; }

    /// <summary>Reads which requests the attempts after the first send.</summary>
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

    /// <summary>The parts of an attempt; none when there is no such attempt.</summary>
    public List<PlacedPart> PartsOf(int attempt)
    {
        var parts = new List<PlacedPart>();
        int next = 0;
        foreach (RunPart part in store.PartsOf(attempt))
        {
            // The first attempt sends all requests, in their order.
            parts.Add(new PlacedPart(part, attempt == 1 ? [.. Enumerable.Range(next, part.File.RequestCount)] : _places[part]));
            next += part.File.RequestCount;
        }

        return parts;
    }

    /// <summary>The last attempt that sends a request.</summary>
    public int LastOf(int place) => Math.Max(1, (int)(_last?[place] ?? 1));

    /// <summary>Which of its tries an attempt is for its requests, counted from 1: a person who asks for a retry begins the count anew.</summary>
    public int TryNumberOf(int attempt)
    {
        int first = attempt;
        while (first > 1 && !store.IsRetry(first))
        {
            first--;
        }

        return attempt - first + 1;
    }

    /// <summary>Writes an attempt that sends some requests again.</summary>
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
            _places[part] = [.. places.Skip(next).Take(part.File.RequestCount)];
            next += part.File.RequestCount;
        }

        Mark(places, attempt);
    }

    private void Mark(IReadOnlyList<int> places, int attempt)
    {
        _last ??= new ushort[requests.Count];
        foreach (int place in places)
        {
            _last[place] = (ushort)Math.Min(attempt, ushort.MaxValue);
        }
    }

    private int[] PlacesOf(RunPart part)
    {
        using var kept = new StoredRequestReader([part]);
        var places = new List<int>(part.File.RequestCount);
        for (; kept.Peek() is { } next; kept.Take())
        {
            int place = requests.Find(next.Request.CustomId);
            places.Add(place >= 0 ? place : throw new RunMismatchException(Messages.Text("CheckpointMismatch.PartChanged", part.File.Path)));
        }

        return [.. places];
    }
}
