namespace InferenceBatch.Binding;

/// <summary>Finds the name that was probably meant.</summary>
internal static class ClosestName
{
    /// <summary>Returns the most similar of some names; null if none is similar: at most a third of the letters differ, or the one contains the other.</summary>
    public static string? Of(string name, IEnumerable<string> names) => names
        .Select(other => (Name: other, Distance: Distance(name.ToUpperInvariant(), other.ToUpperInvariant())))
        .Where(other => other.Distance <= Math.Max(1, Math.Max(name.Length, other.Name.Length) / 3)
            || (Math.Min(name.Length, other.Name.Length) > 2
                && (other.Name.Contains(name, StringComparison.OrdinalIgnoreCase) || name.Contains(other.Name, StringComparison.OrdinalIgnoreCase))))
        .OrderBy(other => other.Distance)
        .Select(other => other.Name)
        .FirstOrDefault();

    /// <summary>Returns how many letters to insert, delete, replace or swap with their neighbor (optimal string alignment).</summary>
    private static int Distance(string one, string other)
    {
        int[,] distances = new int[one.Length + 1, other.Length + 1];
        for (int i = 0; i <= one.Length; i++)
        {
            for (int j = 0; j <= other.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    distances[i, j] = i + j;
                    continue;
                }

                int best = distances[i - 1, j - 1] + (one[i - 1] == other[j - 1] ? 0 : 1);
                best = Math.Min(best, 1 + Math.Min(distances[i - 1, j], distances[i, j - 1]));
                distances[i, j] = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1]
                    ? Math.Min(best, distances[i - 2, j - 2] + 1) : best;
            }
        }

        return distances[one.Length, other.Length];
    }
}
