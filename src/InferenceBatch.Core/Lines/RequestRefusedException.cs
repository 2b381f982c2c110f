using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>A request that no file can take; the requests before and after it are not concerned.</summary>
public sealed class RequestRefusedException(RefusalReason reason, string message) : Exception(message)
{
    public RefusalReason Reason { get; } = reason;

    /// <summary>For a <c>custom_id</c> that an earlier request has; both positions are counted from 1.</summary>
    internal static RequestRefusedException Duplicate(string customId, int position, int first) => new(
        RefusalReason.DuplicateCustomId, Messages.Text("DuplicateCustomId.Position", PlainText.OneLine(customId, 200), position, first));

    /// <summary>For a <c>custom_id</c> that is no text UTF-8 can carry.</summary>
    internal static RequestRefusedException Unwritable(string customId, int position) => new(
        RefusalReason.InvalidCustomId, Messages.Text("InvalidCustomId", PlainText.OneLine(customId, 200), position));
}
