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

    /// <summary>Creates the upstream for an address.</summary>
    /// <exception cref="FormatException">The address is not valid. The message says why, and contains no password.</exception>
    public static IUpstream Create(string text, string? key, TimeProvider time)
    {
        if (text == "echo" || text.StartsWith("echo?", StringComparison.Ordinal))
        {
            return new EchoUpstream(ReadEcho(text), time);
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? address) || address.Scheme is not ("http" or "https"))
        {
            // The part before an @ may be a password.
            throw new FormatException($"'{text[(text.LastIndexOf('@') + 1)..]}' is not a valid upstream: it must be 'echo' or an http(s) address.");
        }

        return address.UserInfo.Length > 0 ? throw new FormatException("The address must not contain a user name or a password. Use --upstream-key-env to name the variable that contains the key.")
            : address.Fragment.Length > 0 ? throw new FormatException("The address must not have a fragment ('#…'), because it would not be sent.")
            : new HttpUpstream(address, key, time);
    }

    /// <summary>Returns the name of an upstream: <see cref="Echo"/>, or its address without the query.</summary>
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
                "fail" => throw new FormatException($"'fail={value}' is not valid: it must be a number between 0 and 1."),
                "seed" => throw new FormatException($"'seed={value}' is not valid: it must be a whole number."),
                _ => throw new FormatException($"The echo model has no setting '{pair[0]}'. Its settings are latency, fail and seed."),
            };
        }

        return settings;
    }
}
