using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using InferenceBatch.Wire;

namespace InferenceBatch.Server.Cli;

/// <summary>
/// The options of one command. Each can also be given as an environment variable, <c>INFERENCE_BATCH_</c> and its name;
/// the command line wins. Values are read after parsing, so that all problems are told at once.
/// </summary>
internal sealed class Settings(Command command)
{
    private readonly Dictionary<string, Option<string>> _options = [];
    private readonly Dictionary<string, Option<bool>> _flags = [];
    private readonly List<string> _problems = [];
    private ParseResult? _given;

    /// <summary>What is wrong with the values read so far.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>Declares an option.</summary>
    public void Add(string name, string value, string description, string? standard = null)
    {
        var option = new Option<string>("--" + name)
        {
            HelpName = value,
            Description = $"{description} {(standard is null ? "" : $"Default: {standard}. ")}[env: {VariableOf(name)}]",
        };
        option.Validators.Add(RefuseEmpty);
        _options.Add(name, option);
        command.Add(option);
    }

    /// <summary>Finds a problem with a value that is empty: it names no file, and nothing else.</summary>
    public static void RefuseEmpty(SymbolResult given)
    {
        if (given.Tokens.Any(token => token.Value.Length == 0))
        {
            given.AddError($"{(given is OptionResult option ? option.Option.Name : ((ArgumentResult)given).Argument.Name)}: a value is wanted, '' is none.");
        }
    }

    /// <summary>Declares an option that is there or not.</summary>
    public void AddFlag(string name, string description)
    {
        var flag = new Option<bool>("--" + name) { Description = $"{description} [env: {VariableOf(name)}=true]" };
        _flags.Add(name, flag);
        command.Add(flag);
    }

    /// <summary>Takes what was typed.</summary>
    public void Use(ParseResult given) => _given = given;

    /// <summary>Notes a problem.</summary>
    public void Refuse(string problem) => _problems.Add(problem);

    /// <summary>An option's text; null where it was not given.</summary>
    public string? Text(string name) =>
        _given!.GetValue(_options[name]) ?? VariableText(name);

    /// <summary>Whether a flag was given.</summary>
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

        Refuse($"{VariableOf(name)}: '{text}' is neither true nor false.");
        return false;
    }

    /// <summary>An option's value as <paramref name="read"/> has it; a <see cref="FormatException"/> becomes a problem.</summary>
    public T Value<T>(string name, T standard, Func<string, T> read)
    {
        if (Text(name) is not { } text)
        {
            return standard;
        }

        try
        {
            return read(text);
        }
        catch (FormatException exception)
        {
            Refuse($"--{name}: {exception.Message}");
            return standard;
        }
    }

    public TimeSpan Time(string name, TimeSpan standard, TimeSpan least, TimeSpan most) => Value(name, standard, text =>
        Duration.Parse(text) is { } time && time >= least && time <= most
            ? time : throw new FormatException($"'{text}' is not between {least.TotalSeconds:0.###}s and {most.TotalSeconds:0}s."));

    public int Number(string name, int standard, int least, int most) => Value(name, standard, text => ReadNumber(text, least, most));

    /// <summary><c>auto</c> (null) or a number.</summary>
    public int? NumberOrAuto(string name, int least, int most) =>
        Value<int?>(name, null, text => text == "auto" ? null : ReadNumber(text, least, most));

    /// <summary>The parts of a secret that may hold several, separated by commas.</summary>
    public string[] Secrets(string name)
    {
        string[] parts = Secret(name)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];
        Array.ForEach(parts, SecretMask.Add);
        return parts;
    }

    /// <summary>
    /// The value of the variable that an option names: keys are never typed on a command line, where anybody can read them.
    /// <see cref="SecretMask"/> learns of it.
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

        Refuse($"--{name}: the environment has no variable '{variable}', or it is empty.");
        return null;
    }

    private static string? VariableText(string name) => Environment.GetEnvironmentVariable(VariableOf(name)) is { Length: > 0 } text ? text : null;

    private static string VariableOf(string name) => "INFERENCE_BATCH_" + name.ToUpperInvariant().Replace('-', '_');

    private static int ReadNumber(string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number : throw new FormatException($"'{text}' is no whole number between {least} and {most}.");
}
