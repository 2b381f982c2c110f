using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>Requests in memory, with their input objects.</summary>
public sealed class RequestList : IRequestSource
{
    private readonly List<BatchRequest> _requests = [];
    private readonly Dictionary<string, int> _places = [];

    /// <inheritdoc/>
    public int Count => _requests.Count;

    /// <summary>Adds a request. Returns false if its ID already exists.</summary>
    public bool Add(BatchRequest request)
    {
        if (!_places.TryAdd(request.CustomId, _requests.Count))
        {
            return false;
        }

        _requests.Add(request);
        return true;
    }

    /// <inheritdoc/>
    public int Find(string customId) => _places.TryGetValue(customId, out int place) ? place : -1;

    /// <inheritdoc/>
    public BatchRequest Read(int place) => _requests[place];
}
