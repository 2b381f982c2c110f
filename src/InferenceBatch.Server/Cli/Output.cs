namespace InferenceBatch.Server.Cli;

/// <summary>What the commands say besides their results: to standard error.</summary>
internal static class Output
{
    /// <summary>Tells what is wrong; gives the exit code for it.</summary>
    public static int Problems(IEnumerable<string> problems)
    {
        foreach (string problem in problems)
        {
            Console.Error.WriteLine($"inference-batch: {problem}");
        }

        return ExitCodes.BadInput;
    }
}
