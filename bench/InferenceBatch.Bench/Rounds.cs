namespace InferenceBatch.Bench;

/// <summary>
/// Runs contestants in turns for several rounds, so that other load on the machine affects all of them equally.
/// </summary>
internal static class Rounds
{
    /// <summary>Returns the median of each contestant.</summary>
    /// <param name="name">A title, printed with each round.</param>
    /// <param name="rounds">The number of runs of each.</param>
    /// <param name="contestants">Functions that return the measured value, such as seconds.</param>
    public static async Task<double[]> MediansAsync(string name, int rounds, params Func<Task<double>>[] contestants)
    {
        var measured = contestants.Select(_ => new List<double>()).ToArray();
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < contestants.Length; i++)
            {
                measured[i].Add(await contestants[i]());
            }

            Console.WriteLine($"{name}, round {round + 1}: {string.Join(" · ", measured.Select(values => $"{values[^1]:0.###}"))}");
        }

        return [.. measured.Select(Median)];
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        int middle = values.Count / 2;
        return values.Count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    }
}
