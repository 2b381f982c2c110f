using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Cmdlets;

/// <summary>A batch as a command was given it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Known">What the service last said of it; null when only the id was given.</param>
internal readonly record struct BatchInput(string Id, Batch? Known)
{
    /// <summary>Where it is, once that is decided.</summary>
    public ServiceConnection? Connection { get; init; }
}
