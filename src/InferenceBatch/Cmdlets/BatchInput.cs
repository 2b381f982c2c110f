using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Cmdlets;

/// <summary>A batch from the input of a command.</summary>
/// <param name="Id">The ID.</param>
/// <param name="Known">The batch object; null if the input was an ID.</param>
internal readonly record struct BatchInput(string Id, Batch? Known)
{
    /// <summary>The connection of its service; null until it is resolved.</summary>
    public ServiceConnection? Connection { get; init; }
}
