using System.IO.Enumeration;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>
/// Prices by model, from a JSON file a person keeps: an object whose names are models, where <c>*</c> and <c>?</c> are
/// wildcards, and whose values are <c>{"input": …, "output": …}</c> per million tokens. A model's own name counts before
/// wildcards, and of these the first that matches; case does not matter. No price is built in.
/// </summary>
/// <example><code>{ "meta-llama/llama-3.2-1b-instruct*": { "input": 0.01, "output": 0.02 } }</code></example>
public sealed class PriceTable
{
    private static readonly JsonDocumentOptions s_options = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    private readonly List<(string Pattern, ModelPrice Price)> _prices = [];
    private readonly ModelPrice _given;

    /// <param name="given">Prices that count for every model, before those of a file.</param>
    public PriceTable(ModelPrice given = default) => _given = given;

    /// <summary>
    /// The user's own file: <c>InferenceBatch/prices.json</c> in the configuration folder (<c>$XDG_CONFIG_HOME</c> or
    /// <c>~/.config</c>; <c>%APPDATA%</c> on Windows; <c>~/Library/Application Support</c> on macOS).
    /// </summary>
    public static string DefaultPath => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData, Environment.SpecialFolderOption.DoNotVerify), "InferenceBatch", "prices.json");

    /// <summary>Reads a file's prices.</summary>
    /// <param name="path">The file.</param>
    /// <param name="given">See the constructor.</param>
    /// <exception cref="FormatException">It is no price table; the message says where.</exception>
    /// <exception cref="IOException">It could not be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public static PriceTable Read(string path, ModelPrice given = default)
    {
        var table = new PriceTable(given);
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path), s_options);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new FormatException(Messages.Text("InvalidPriceTable.NoObject"));
            }

            foreach (JsonProperty model in document.RootElement.EnumerateObject())
            {
                table._prices.Add((model.Name, ReadPrice(model)));
            }

            return table;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            throw new FormatException(Messages.Text("InvalidPriceTable", path, exception.Message), exception);
        }
    }

    /// <summary>A model's prices; null where none is known.</summary>
    public ModelPrice PriceOf(string? model)
    {
        ModelPrice listed = model is null ? default : Listed(model) ?? default;
        return new ModelPrice(_given.Input ?? listed.Input, _given.Output ?? listed.Output);
    }

    private ModelPrice? Listed(string model)
    {
        foreach ((string pattern, ModelPrice price) in _prices)
        {
            if (pattern.Equals(model, StringComparison.OrdinalIgnoreCase))
            {
                return price;
            }
        }

        foreach ((string pattern, ModelPrice price) in _prices)
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, model))
            {
                return price;
            }
        }

        return null;
    }

    private static ModelPrice ReadPrice(JsonProperty model)
    {
        if (model.Value.ValueKind != JsonValueKind.Object)
        {
            throw new FormatException(Messages.Text("InvalidPriceTable.NoPrices", model.Name));
        }

        decimal? input = null;
        decimal? output = null;
        foreach (JsonProperty price in model.Value.EnumerateObject())
        {
            if (price.Value.ValueKind != JsonValueKind.Number || !price.Value.TryGetDecimal(out decimal amount) || amount < 0)
            {
                throw new FormatException(Messages.Text("InvalidPriceTable.NoNumber", price.Name, model.Name));
            }

            switch (price.Name)
            {
                case "input":
                    input = amount;
                    break;
                case "output":
                    output = amount;
                    break;
                default:
                    throw new FormatException(Messages.Text("InvalidPriceTable.OtherName", model.Name, price.Name));
            }
        }

        return new ModelPrice(input, output);
    }
}
