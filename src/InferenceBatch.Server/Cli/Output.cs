namespace InferenceBatch.Server.Cli;

/// <summary>Writes messages to standard error.</summary>
internal static class Output
{
    /// <summary>Writes one line per problem and returns the exit code for problems.</summary>
    public static int Problems(IEnumerable<string> problems)
    {
        foreach (string problem in problems)
        {
            Console.Error.WriteLine($"inference-batch: {problem}");
        }

        return ExitCodes.BadInput;
    }
}
