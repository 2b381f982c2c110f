using System.IO.Enumeration;
using System.Text.Json;
using InferenceBatch.Model;

namespace InferenceBatch.Wire;

/// <summary>
/// Prices by model from a JSON file of the user: an object whose names are models, with the wildcards <c>*</c> and <c>?</c>,
/// and whose values are <c>{"input": …, "output": …}</c> per million tokens. The exact name of a model takes precedence over
/// wildcards, and the first wildcard that matches over the others. Case does not matter. No prices are built in.
/// </summary>
/// <example><code>{ "meta-llama/llama-3.2-1b-instruct*": { "input": 0.01, "output": 0.02 } }</code></example>
public sealed class PriceTable
{
    private static readonly JsonDocumentOptions s_options = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    private readonly List<(string Pattern, ModelPrice Price)> _prices = [];
    private readonly ModelPrice _given;

    /// <param name="given">Prices for all models, which take precedence over those of a file.</param>
    public PriceTable(ModelPrice given = default) => _given = given;

    /// <summary>
    /// The user's file: <c>InferenceBatch/prices.json</c> in the configuration folder (<c>$XDG_CONFIG_HOME</c> or
    /// <c>~/.config</c>; <c>%APPDATA%</c> on Windows; <c>~/Library/Application Support</c> on macOS).
    /// </summary>
    public static string DefaultPath => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData, Environment.SpecialFolderOption.DoNotVerify), "InferenceBatch", "prices.json");

    /// <summary>Reads the prices of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="given">See the constructor.</param>
    /// <exception cref="FormatException">The file is not a valid price table; the message has the reason.</exception>
    /// <exception cref="IOException">The file could not be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The permission to read the file is missing.</exception>
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

    /// <summary>Returns the prices of a model; null for those that are not known.</summary>
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
