using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>The requests that results are joined to, each at a place counted from 0 in input order.</summary>
public interface IRequestSource
{
    /// <summary>Requests in all.</summary>
    int Count { get; }

    /// <summary>The place of a request, by its <c>custom_id</c>; -1 when there is none.</summary>
    int Find(string customId);

    /// <summary>The request at a place.</summary>
    BatchRequest Read(int place);
}
