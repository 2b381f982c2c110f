using InferenceBatch.Model;

namespace InferenceBatch.Results;

/// <summary>The requests that results are matched with, each at a place counted from 0 in input order.</summary>
public interface IRequestSource
{
    /// <summary>The number of requests.</summary>
    int Count { get; }

    /// <summary>Returns the place of a request by its <c>custom_id</c>; -1 if there is none.</summary>
    int Find(string customId);

    /// <summary>Returns the request at a place.</summary>
    BatchRequest Read(int place);
}
