using InferenceBatch.Model;

namespace InferenceBatch.Runs;

/// <summary>Requests that were written to files, with the objects they were made from, which stay in memory.</summary>
/// <param name="index">The files; its places are those of <paramref name="inputObjects"/>. Disposed with this.</param>
/// <param name="inputObjects">One a request.</param>
public sealed class SpooledRequests(RequestIndex index, IReadOnlyList<object?> inputObjects) : IRequestSource, IDisposable
{
    /// <inheritdoc/>
    public int Count => index.Count;

    /// <inheritdoc/>
    public int Find(string customId) => index.Find(customId);

    /// <inheritdoc/>
    public BatchRequest Read(int place)
    {
        BatchRequest request = index.Read(place);
        return new BatchRequest
        {
            CustomId = request.CustomId,
            Method = request.Method,
            Url = request.Url,
            BodyUtf8 = request.BodyUtf8,
            InputObject = inputObjects[place],
        };
    }

    public void Dispose() => index.Dispose();
}
