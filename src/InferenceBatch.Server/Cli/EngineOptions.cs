using System.Globalization;
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Cli;

/// <summary>The options that both commands have: the upstream and how lines are sent to it.</summary>
internal static class EngineOptions
{
    private const string Auto = "auto";
    private const int MaxConcurrency = 10_000;

    private static readonly EngineSettings s_defaults = new();
    private static readonly TimeSpan s_maxTimeout = TimeSpan.FromDays(30);

    public static void Add(Settings options)
    {
        options.Add(
            "upstream", "URI|echo", "The base address of an OpenAI-compatible API, including /v1, or the built-in echo model.", UpstreamAddress.Echo);
        options.Add("upstream-key-env", "NAME", "The environment variable that contains the API key for the upstream.");
        options.Add(
            "concurrency", "auto|N", "The maximum number of lines in flight. auto finds the best number.",
            s_defaults.Concurrency?.ToString(CultureInfo.InvariantCulture) ?? Auto);
        options.Add("max-attempts", "N", "The maximum number of attempts per line.", s_defaults.MaxAttempts.ToString(CultureInfo.InvariantCulture));
        options.Add("request-timeout", "TIME", "The time limit of one attempt.", Duration.Format(s_defaults.RequestTimeout));
    }

    public static EngineSettings Read(Settings options) => s_defaults with
    {
        Concurrency = options.NumberOr("concurrency", Auto, 1, MaxConcurrency),
        MaxAttempts = options.Number("max-attempts", s_defaults.MaxAttempts, 1, 100),
        RequestTimeout = options.Time("request-timeout", s_defaults.RequestTimeout, TimeSpan.FromMilliseconds(1), s_maxTimeout),
    };

    /// <summary>Reads and validates the address of the upstream.</summary>
    public static string ReadUpstream(Settings options) => options.Value("upstream", UpstreamAddress.Echo, text =>
    {
        UpstreamAddress.Create(text, null, TimeProvider.System).Dispose();
        return text;
    });
}
