namespace InferenceBatch.Server.Storage;

/// <summary>Decides whether a file or batch has expired: from its time of expiry on. The SQL conditions are the same rule.</summary>
internal static class Expiry
{
    /// <summary>The SQL condition for rows that have expired at <c>$now</c>.</summary>
    public const string ExpiredSql = "expires_at <= $now";

    /// <summary>The SQL condition for rows that have not expired at <c>$now</c>; a null never expires.</summary>
    public const string NotExpiredSql = "(expires_at IS NULL OR expires_at > $now)";

    /// <summary>Whether the time of expiry is reached; null never expires.</summary>
    public static bool IsReached(DateTimeOffset? expiresAt, DateTimeOffset now) => expiresAt <= now;
}
