using System.Globalization;
using System.Resources;

namespace InferenceBatch.Model;

/// <summary>The texts of Messages.resx, which users read from cmdlets. They are loaded from the assembly on first use.</summary>
public static class Messages
{
    private static readonly ResourceManager s_texts = new("InferenceBatch.Messages", typeof(Messages).Assembly);

    /// <summary>Returns a text with its values. Numbers have the format of the user's culture, and words agree with them (<see cref="PluralFormat"/>). Values cannot control a terminal (<see cref="TerminalText"/>).</summary>
    /// <param name="name">The ID of the error; if it has several texts, followed by a dot and a word.</param>
    /// <param name="values">The values in the text.</param>
    public static string Text(string name, params object?[] values) => TerminalText.Of(
        string.Format(new PluralFormat(CultureInfo.CurrentCulture), s_texts.GetString(name, CultureInfo.InvariantCulture)!, values));
}
