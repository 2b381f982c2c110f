namespace InferenceBatch.Bench;

/// <summary>
/// Runs contestants by turns, several rounds, so that whatever else the machine does falls on all of them alike.
/// </summary>
internal static class Rounds
{
    /// <summary>Gives each contestant's median.</summary>
    /// <param name="name">Printed while it runs.</param>
    /// <param name="rounds">How often each runs.</param>
    /// <param name="contestants">Each gives what it measured, such as seconds.</param>
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
