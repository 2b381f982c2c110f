using Microsoft.Data.Sqlite;

namespace InferenceBatch.Server.Storage;

/// <summary>Reads columns that may be null. Times are stored as milliseconds since 1970.</summary>
internal static class Row
{
    public static string? Text(this SqliteDataReader row, string name)
    {
        int column = row.GetOrdinal(name);
        return row.IsDBNull(column) ? null : row.GetString(column);
    }

    public static long? Integer(this SqliteDataReader row, string name)
    {
        int column = row.GetOrdinal(name);
        return row.IsDBNull(column) ? null : row.GetInt64(column);
    }

    public static DateTimeOffset? Time(this SqliteDataReader row, string name) =>
        row.Integer(name) is { } time ? DateTimeOffset.FromUnixTimeMilliseconds(time) : null;
}
