using System.Text.RegularExpressions;

namespace InferenceBatch.LocalServer;

/// <summary>Names the parameters of Start-BatchServer in messages of the service, which names the options of its command line.</summary>
internal static partial class ServerOptionNames
{
    private static readonly Dictionary<string, string> s_parameters = new(StringComparer.Ordinal)
    {
        ["--allow-insecure-webhooks"] = "-AllowInsecureWebhooks",
        ["--api-key-env"] = "-ApiKey",
        ["--completion-window"] = "-CompletionWindow",
        ["--concurrency"] = "-Concurrency",
        ["--data"] = "-DataPath",
        ["--max-attempts"] = "-MaxAttempts",
        ["--request-timeout"] = "-RequestTimeout",
        ["--upstream"] = "-Upstream",
        ["--upstream-key-env"] = "-UpstreamApiKey",
        ["--webhook-secret-env"] = "-WebhookSecret",
    };

    /// <summary>Returns the text with parameters instead of options. Options without a parameter of their own remain: they come from -ArgumentList.</summary>
    public static string ToParameters(string text) =>
        Option().Replace(text, option => s_parameters.GetValueOrDefault(option.Value, option.Value));

    [GeneratedRegex("(?<![A-Za-z0-9-])--[a-z]+(-[a-z]+)*")]
    private static partial Regex Option();
}
