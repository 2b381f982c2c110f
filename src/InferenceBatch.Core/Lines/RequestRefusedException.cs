using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Lines;

/// <summary>A request cannot be written to a file. The requests before and after it are not affected.</summary>
public sealed class RequestRefusedException(RefusalReason reason, string message) : Exception(message)
{
    public RefusalReason Reason { get; } = reason;

    /// <summary>For a <c>custom_id</c> that an earlier request has; both positions are counted from 1.</summary>
    internal static RequestRefusedException Duplicate(string customId, int position, int first) => new(
        RefusalReason.DuplicateCustomId, Messages.Text("DuplicateCustomId.Position", PlainText.OneLine(customId, 200), position, first));

    /// <summary>For a <c>custom_id</c> that UTF-8 cannot represent.</summary>
    internal static RequestRefusedException Unwritable(string customId, int position) => new(
        RefusalReason.InvalidCustomId, Messages.Text("InvalidCustomId", PlainText.OneLine(customId, 200), position));
}

/// <summary>Why a <see cref="FileSplitter"/> refuses a request.</summary>
public enum RefusalReason
{
    /// <summary>Its line alone is larger than a file may be.</summary>
    RequestTooLarge,

    /// <summary>An earlier request has the same <c>custom_id</c>.</summary>
    DuplicateCustomId,

    /// <summary>Its <c>custom_id</c> contains half a surrogate pair, which UTF-8 cannot represent.</summary>
    InvalidCustomId,
}
