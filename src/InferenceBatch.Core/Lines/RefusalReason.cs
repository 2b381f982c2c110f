namespace InferenceBatch.Lines;

/// <summary>Why a <see cref="FileSplitter"/> refuses a request.</summary>
public enum RefusalReason
{
    /// <summary>Its line alone is larger than a file may be.</summary>
    RequestTooLarge,

    /// <summary>Its <c>custom_id</c> belongs to an earlier request.</summary>
    DuplicateCustomId,

    /// <summary>Its <c>custom_id</c> holds half a surrogate pair, which UTF-8 cannot carry.</summary>
    InvalidCustomId,
}
