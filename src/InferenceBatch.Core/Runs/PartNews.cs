using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Runs;

/// <summary>What became of a part of an attempt; a <see cref="PartRunner"/> tells it once for each part that it was given and reached.</summary>
/// <param name="One">The part.</param>
/// <param name="Fate">What became of it.</param>
/// <param name="Error">Why it was not sent; null with every other fate.</param>
/// <param name="MayPass">See <see cref="SendOutcome.MayPass"/>.</param>
/// <param name="Problem">Why not all results of an ended batch can be read; null when they can, and with every other fate.</param>
internal readonly record struct PartNews(PlacedPart One, PartFate Fate, ServiceError? Error = null, bool MayPass = false, ServiceException? Problem = null);

/// <summary>What can become of a part.</summary>
internal enum PartFate
{
    /// <summary>Its batch has ended, and its results are on disk, as far as the service gives them.</summary>
    Ended,

    /// <summary>It could not be sent.</summary>
    NotSent,

    /// <summary>Its batch was not waited for to the end, and continues.</summary>
    Left,

    /// <summary>The service no longer knows its batch.</summary>
    Lost,
}
