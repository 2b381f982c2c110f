using System.Globalization;
using System.Resources;

namespace InferenceBatch.Model;

/// <summary>The texts of Messages.resx: what a person reads from a cmdlet. They are read from the assembly when the first is wanted.</summary>
public static class Messages
{
    private static readonly ResourceManager s_texts = new("InferenceBatch.Messages", typeof(Messages).Assembly);

    /// <summary>The text of that name, with its values, numbers in the person's culture, words that agree with them (<see cref="PluralFormat"/>).</summary>
    /// <param name="name">The id of the error that says it; a dot and a word stand behind the id where it has several texts.</param>
    /// <param name="values">What the text speaks of.</param>
    public static string Text(string name, params object?[] values) =>
        string.Format(new PluralFormat(CultureInfo.CurrentCulture), s_texts.GetString(name, CultureInfo.InvariantCulture)!, values);
}
