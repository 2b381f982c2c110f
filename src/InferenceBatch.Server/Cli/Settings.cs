using System.CommandLine;
using System.CommandLine.Parsing;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Cli;

/// <summary>
/// The options of one command. Each can also be set with an environment variable, <c>INFERENCE_BATCH_</c> and its name;
/// the command line takes precedence. Values are read after parsing, so that all problems are reported at once.
/// </summary>
internal sealed class Settings(Command command)
{
    private readonly Dictionary<string, Option<string>> _options = [];
    private readonly Dictionary<string, Option<bool>> _flags = [];
    private readonly List<string> _problems = [];
    private ParseResult? _given;

    /// <summary>The problems with the values that were read so far.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>Declares an option.</summary>
    /// <param name="name">The name without the dashes.</param>
    /// <param name="value">The placeholder for the value in the help.</param>
    /// <param name="description">The description in the help.</param>
    /// <param name="defaultText">The default in the help; null for none.</param>
    public void Add(string name, string value, string description, string? defaultText = null)
    {
        var option = new Option<string>("--" + name)
        {
            HelpName = value,
            Description = $"{description} {(defaultText is null ? "" : $"Default: {defaultText}. ")}[env: {VariableOf(name)}]",
        };
        option.Validators.Add(RefuseEmpty);
        _options.Add(name, option);
        command.Add(option);
    }

    /// <summary>Reports an empty value.</summary>
    public static void RefuseEmpty(SymbolResult given)
    {
        if (given.Tokens.Any(token => token.Value.Length == 0))
        {
            given.AddError($"{(given is OptionResult option ? option.Option.Name : ((ArgumentResult)given).Argument.Name)}: the value must not be empty.");
        }
    }

    /// <summary>Declares an option without a value.</summary>
    public void AddFlag(string name, string description)
    {
        var flag = new Option<bool>("--" + name) { Description = $"{description} [env: {VariableOf(name)}=true]" };
        _flags.Add(name, flag);
        command.Add(flag);
    }

    /// <summary>Sets the parsed command line.</summary>
    public void Use(ParseResult given) => _given = given;

    /// <summary>Adds a problem.</summary>
    public void Refuse(string problem) => _problems.Add(problem);

    /// <summary>Returns the text of an option; null if it is not set.</summary>
    public string? Text(string name) =>
        _given!.GetValue(_options[name]) ?? VariableText(name);

    /// <summary>Returns whether an option without a value is set.</summary>
    public bool Flag(string name)
    {
        if (_given!.GetValue(_flags[name]) || VariableText(name) is not { } text)
        {
            return _given.GetValue(_flags[name]);
        }

        if (bool.TryParse(text, out bool isSet))
        {
            return isSet;
        }

        Refuse($"{VariableOf(name)}: '{text}' is not valid. Use true or false.");
        return false;
    }

    /// <summary>Returns the value of an option. A <see cref="FormatException"/> of <paramref name="read"/> becomes a problem.</summary>
    public T Value<T>(string name, T defaultValue, Func<string, T> read)
    {
        if (Text(name) is not { } text)
        {
            return defaultValue;
        }

        try
        {
            return read(text);
        }
        catch (FormatException exception)
        {
            Refuse($"--{name}: {exception.Message}");
            return defaultValue;
        }
    }

    /// <summary>Returns a duration between <paramref name="min"/> and <paramref name="max"/>.</summary>
    public TimeSpan Time(string name, TimeSpan defaultValue, TimeSpan min, TimeSpan max) => Value(name, defaultValue, text =>
        Duration.Parse(text) is { } time && time >= min && time <= max
            ? time : throw new FormatException($"'{text}' must be a duration from {Duration.Format(min)} to {Duration.Format(max)}."));

    /// <summary>Returns a whole number between <paramref name="min"/> and <paramref name="max"/>.</summary>
    public int Number(string name, int defaultValue, int min, int max) => Value(name, defaultValue, text => ReadNumber(text, min, max, ""));

    /// <summary>Returns a whole number, or null for <paramref name="word"/> or if the option is not set.</summary>
    public int? NumberOr(string name, string word, int min, int max) =>
        Value<int?>(name, null, text => text == word ? null : ReadNumber(text, min, max, $"{word} or "));

    /// <summary>Returns the parts of a secret, which may contain several, separated by commas.</summary>
    public string[] Secrets(string name)
    {
        string[] parts = Secret(name)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];
        Array.ForEach(parts, SecretMask.Add);
        return parts;
    }

    /// <summary>
    /// Returns the value of the environment variable that an option names, because every user of the machine can read a command
    /// line. Adds the secret to <see cref="SecretMask"/>.
    /// </summary>
    public string? Secret(string name)
    {
        if (Text(name) is not { } variable)
        {
            return null;
        }

        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } secret)
        {
            SecretMask.Add(secret);
            return secret;
        }

        Refuse($"--{name}: the environment variable '{variable}' is not set or is empty.");
        return null;
    }

    private static string? VariableText(string name) => Environment.GetEnvironmentVariable(VariableOf(name)) is { Length: > 0 } text ? text : null;

    private static string VariableOf(string name) => "INFERENCE_BATCH_" + name.ToUpperInvariant().Replace('-', '_');

    private static int ReadNumber(string text, int min, int max, string orWord) => WholeNumber.TryRead(text, min, max, out int number)
        ? number : throw new FormatException($"'{text}' must be {orWord}a whole number from {min} to {max}.");
}
