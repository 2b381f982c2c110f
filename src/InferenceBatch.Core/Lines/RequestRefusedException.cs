using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>A request that no file can take; the requests before and after it are not concerned.</summary>
public sealed class RequestRefusedException(RefusalReason reason, string message) : Exception(message)
{
    public RefusalReason Reason { get; } = reason;

    /// <summary>For a <c>custom_id</c> that an earlier request has; both positions are counted from 1.</summary>
    internal static RequestRefusedException Duplicate(string customId, int position, int first) => new(
        RefusalReason.DuplicateCustomId, $"The custom_id '{PlainText.OneLine(customId, 200)}' of request {position} is that of request {first} already; it must be unique, and this request is left out.");

    /// <summary>For a <c>custom_id</c> that is no text UTF-8 can carry.</summary>
    internal static RequestRefusedException Unwritable(string customId, int position) => new(
        RefusalReason.InvalidCustomId, $"The custom_id '{PlainText.OneLine(customId, 200)}' of request {position} holds half a surrogate pair, which UTF-8 cannot carry.");
}
