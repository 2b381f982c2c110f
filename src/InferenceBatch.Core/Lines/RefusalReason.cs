namespace InferenceBatch.Lines;

/// <summary>Why a <see cref="FileSplitter"/> refuses a request.</summary>
public enum RefusalReason
{
    /// <summary>Its line alone is larger than a file may be.</summary>
    RequestTooLarge,

    /// <summary>Its <c>custom_id</c> belongs to an earlier request.</summary>
    DuplicateCustomId,
}
