using System.Management.Automation;

namespace InferenceBatch.Views;

/// <summary>Colours as the person has set them in $PSStyle; none where the output goes to a file or another program, or is to be plain.</summary>
internal static class Palette
{
    /// <summary>$PSStyle is this one object; the type itself is not in the library the module is compiled against.</summary>
    private static readonly object? s_style =
        typeof(PSObject).Assembly.GetType("System.Management.Automation.PSStyle")?.GetProperty("Instance")?.GetValue(null);

    /// <summary>The text in a foreground colour of $PSStyle, such as <c>Green</c>.</summary>
    public static string Paint(string text, string colour)
    {
        if (s_style is null || Console.IsOutputRedirected || Read(s_style, "OutputRendering")?.ToString() == "PlainText")
        {
            return text;
        }

        return Read(Read(s_style, "Foreground"), colour) is string { Length: > 0 } code ? $"{code}{text}{Read(s_style, "Reset")}" : text;
    }

    private static object? Read(object? owner, string property) => owner?.GetType().GetProperty(property)?.GetValue(owner);
}
