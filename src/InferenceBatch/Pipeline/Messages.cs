using System.Globalization;
using System.Resources;
using InferenceBatch.Model;

namespace InferenceBatch.Pipeline;

/// <summary>The texts of Messages.resx.</summary>
internal static class Messages
{
    private static readonly ResourceManager s_texts = new("InferenceBatch.Messages", typeof(Messages).Assembly);

    /// <summary>The text of that name, with its values, numbers in the person's culture, words that agree with them (<see cref="PluralFormat"/>).</summary>
    public static string Text(string name, params object?[] values) =>
        string.Format(new PluralFormat(CultureInfo.CurrentCulture), s_texts.GetString(name, CultureInfo.InvariantCulture)!, values);
}
