using System.Globalization;

namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Reads <c>--upstream</c>: <c>echo</c>, <c>echo?latency=50ms&amp;fail=0.01&amp;seed=7</c>, or the base address of an
/// OpenAI-compatible service.
/// </summary>
internal static class UpstreamAddress
{
    /// <summary>The name of the built-in model.</summary>
    public const string Echo = "echo";

    /// <summary>Makes the upstream that a text names.</summary>
    /// <exception cref="FormatException">It names none; the message says what is wrong, and holds no password.</exception>
    public static IUpstream Create(string text, string? key, TimeProvider time)
    {
        if (text == "echo" || text.StartsWith("echo?", StringComparison.Ordinal))
        {
            return new EchoUpstream(ReadEcho(text), time);
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? address) || address.Scheme is not ("http" or "https"))
        {
            // What stands before an @ may be a password.
            throw new FormatException($"'{text[(text.LastIndexOf('@') + 1)..]}' is neither 'echo' nor an http(s) address.");
        }

        return address.UserInfo.Length > 0 ? throw new FormatException("The address must hold no user name and no password; --upstream-key-env names the variable of a key.")
            : address.Fragment.Length > 0 ? throw new FormatException("The address must have no fragment ('#…'): nothing would be sent of it.")
            : new HttpUpstream(address, key, time);
    }

    /// <summary>What identifies an upstream that <see cref="Create"/> takes: <see cref="Echo"/>, or its address without the query.</summary>
    public static string NameOf(string text) => text.StartsWith("http", StringComparison.OrdinalIgnoreCase) ? new Uri(text).GetLeftPart(UriPartial.Path).TrimEnd('/') : Echo;

    private static EchoSettings ReadEcho(string text)
    {
        var settings = new EchoSettings(TimeSpan.Zero, 0, 0);
        foreach (string part in text[4..].TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] pair = part.Split('=', 2);
            string value = pair.Length == 2 ? pair[1] : "";
            settings = pair[0] switch
            {
                "latency" => settings with { Latency = Duration.Parse(value) },
                "fail" when double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double share) && share is >= 0 and <= 1 =>
                    settings with { Fail = share },
                "seed" when int.TryParse(value, NumberStyles.Integer, CultureInfo.InvariantCulture, out int seed) => settings with { Seed = seed },
                "fail" => throw new FormatException($"'fail={value}': a share between 0 and 1 is wanted."),
                "seed" => throw new FormatException($"'seed={value}': a whole number is wanted."),
                _ => throw new FormatException($"The echo model has no setting '{pair[0]}'; it has latency, fail and seed."),
            };
        }

        return settings;
    }
}
