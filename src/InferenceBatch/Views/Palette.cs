using System.Management.Automation;

namespace InferenceBatch.Views;

/// <summary>Colors text with the user's $PSStyle. Returns plain text if the output is redirected or $PSStyle.OutputRendering is PlainText.</summary>
internal static class Palette
{
    /// <summary>The object $PSStyle. Read by reflection, because the reference library of the module does not have its type.</summary>
    private static readonly object? s_style =
        typeof(PSObject).Assembly.GetType("System.Management.Automation.PSStyle")?.GetProperty("Instance")?.GetValue(null);

    /// <summary>Returns the text in a foreground color of $PSStyle, such as <c>Green</c>.</summary>
    public static string Paint(string text, string color)
    {
        if (s_style is null || Console.IsOutputRedirected || Read(s_style, "OutputRendering")?.ToString() == "PlainText")
        {
            return text;
        }

        return Read(Read(s_style, "Foreground"), color) is string { Length: > 0 } code ? $"{code}{text}{Read(s_style, "Reset")}" : text;
    }

    private static object? Read(object? owner, string property) => owner?.GetType().GetProperty(property)?.GetValue(owner);
}
