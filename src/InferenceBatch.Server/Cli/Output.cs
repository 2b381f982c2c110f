using Microsoft.Extensions.Logging.Console;

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

    public static void ConfigureLogging(ILoggingBuilder logging)
    {
        logging.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.TimestampFormat = "yyyy-MM-ddTHH:mm:ssZ ";
            options.UseUtcTimestamp = true;
            options.ColorBehavior = LoggerColorBehavior.Disabled;
        });
        logging.Services.Configure<ConsoleLoggerOptions>(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
    }
}
