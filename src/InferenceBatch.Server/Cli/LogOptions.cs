using System.Text.Json;
using Microsoft.Extensions.Logging.Console;

namespace InferenceBatch.Server.Cli;

/// <summary>How the process logs: to standard error, a line an entry; what is logged holds no prompt, answer or key.</summary>
internal static class LogOptions
{
    private const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";

    private static readonly string[] s_levels = ["debug", "info", "warning", "error", "none"];

    public static void Add(Settings options)
    {
        options.Add("log-format", "text|json", "How log entries are written, one a line.", "text");
        options.Add("log-level", "LEVEL", $"The least that is logged: {string.Join(", ", s_levels)}.", "info");
    }

    public static Action<ILoggingBuilder> Read(Settings options)
    {
        bool isJson = options.Value("log-format", "text", text => OneOf(text, ["text", "json"])) == "json";
        LogLevel level = LevelOf(options.Value("log-level", "info", text => OneOf(text, s_levels)));
        return logging => Configure(logging, isJson, level);
    }

    private static void Configure(ILoggingBuilder logging, bool isJson, LogLevel level)
    {
        if (isJson)
        {
            logging.AddJsonConsole(options =>
            {
                options.TimestampFormat = TimeFormat;
                options.UseUtcTimestamp = true;
                options.JsonWriterOptions = new JsonWriterOptions { Indented = false };
            });
        }
        else
        {
            logging.AddSimpleConsole(options =>
            {
                options.SingleLine = true;
                options.TimestampFormat = TimeFormat + " ";
                options.UseUtcTimestamp = true;
                options.ColorBehavior = LoggerColorBehavior.Disabled;
            });
        }

        logging.Services.Configure<ConsoleLoggerOptions>(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
        logging.SetMinimumLevel(level);
        logging.AddFilter("Microsoft", level > LogLevel.Warning ? level : LogLevel.Warning);
        // A start that fails is told once, by the command, in one line.
        logging.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        logging.AddFilter("Microsoft.Hosting", LogLevel.None);
    }

    private static LogLevel LevelOf(string word) => word switch
    {
        "debug" => LogLevel.Debug,
        "info" => LogLevel.Information,
        "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        _ => LogLevel.None,
    };

    private static string OneOf(string text, string[] words) =>
        words.Contains(text) ? text : throw new FormatException($"'{text}' is none of {string.Join(", ", words)}.");
}
