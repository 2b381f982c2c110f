using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>The outcome of a part of an attempt. <see cref="PartRunner"/> returns one for each part that it reached.</summary>
/// <param name="Part">The part.</param>
/// <param name="State">Its state.</param>
/// <param name="Error">Why the part was not sent; null in every other state.</param>
/// <param name="IsTemporary">See <see cref="SendOutcome.IsTemporary"/>.</param>
/// <param name="Problem">Why not all results of an ended batch can be read; null if all can, and in every other state.</param>
internal readonly record struct PartOutcome(
    PlacedPart Part, PartState State, ServiceError? Error = null, bool IsTemporary = false, ServiceException? Problem = null);

/// <summary>The final state of a part in an attempt.</summary>
internal enum PartState
{
    /// <summary>The batch has ended. Its results are on disk, as far as the service returns them.</summary>
    Ended,

    /// <summary>The part could not be sent.</summary>
    NotSent,

    /// <summary>The run does not wait for the batch any longer, and the batch continues.</summary>
    Left,

    /// <summary>The service no longer knows the batch.</summary>
    Lost,
}
