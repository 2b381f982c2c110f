
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Cli;

/// <summary>The options that both commands have: where lines go, and how.</summary>
internal static class EngineOptions
{
    private const int MaxConcurrency = 10_000;

    private static readonly TimeSpan s_longest = TimeSpan.FromDays(30);

    public static void Add(Settings options)
    {
        options.Add("upstream", "URI|echo", "What answers: an OpenAI-compatible base address, /v1 included, or the built-in echo model.", "echo");
        options.Add("upstream-key-env", "NAME", "The environment variable that holds the upstream's API key.");
        options.Add("concurrency", "auto|N", "Lines in flight at once, at most.", "auto");
        options.Add("max-attempts", "N", "How often a line is sent at most.", "5");
        options.Add("request-timeout", "TIME", "How long one attempt may take.", "10m");
    }

    public static EngineSettings Read(Settings options)
    {
        var standard = new EngineSettings();
        return standard with
        {
            Concurrency = options.NumberOrAuto("concurrency", 1, MaxConcurrency),
            MaxAttempts = options.Number("max-attempts", standard.MaxAttempts, 1, 100),
            RequestTimeout = options.Time("request-timeout", standard.RequestTimeout, TimeSpan.FromMilliseconds(1), s_longest),
        };
    }

    /// <summary>The upstream's address, known to be one.</summary>
    public static string ReadUpstream(Settings options) => options.Value("upstream", "echo", text =>
    {
        UpstreamAddress.Create(text, null, TimeProvider.System).Dispose();
        return text;
    });
}
