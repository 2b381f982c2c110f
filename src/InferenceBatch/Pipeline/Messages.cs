using System.Globalization;
using System.Resources;

namespace InferenceBatch.Pipeline;

/// <summary>The texts of Messages.resx.</summary>
internal static class Messages
{
    private static readonly ResourceManager s_texts = new("InferenceBatch.Messages", typeof(Messages).Assembly);

    /// <summary>The text of that name, with its values, numbers in the person's culture.</summary>
    public static string Text(string name, params object?[] values) =>
        string.Format(CultureInfo.CurrentCulture, s_texts.GetString(name, CultureInfo.InvariantCulture)!, values);
}
