using System.Text.Json;
using Microsoft.Extensions.Logging.Console;

namespace InferenceBatch.Server.Cli;

/// <summary>The options for the log, which goes to standard error, one entry per line.</summary>
internal static class LogOptions
{
    private const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";

    private const string Text = "text";
    private const string Json = "json";
    private const string DefaultLevel = "info";

    private static readonly string[] s_levels = ["debug", "info", "warning", "error", "none"];

    public static void Add(Settings options)
    {
        options.Add("log-format", "text|json", "The format of log entries, one per line.", Text);
        options.Add("log-level", "LEVEL", $"The lowest level that is logged: {string.Join(", ", s_levels)}.", DefaultLevel);
    }

    public static Action<ILoggingBuilder> Read(Settings options)
    {
        bool isJson = options.Value("log-format", Text, text => OneOf(text, [Text, Json])) == Json;
        LogLevel level = LevelOf(options.Value("log-level", DefaultLevel, text => OneOf(text, s_levels)));
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
        // The command reports a failed start itself, as one line.
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
        words.Contains(text) ? text : throw new FormatException($"'{text}' is not valid. Use one of these words: {string.Join(", ", words)}.");
}
