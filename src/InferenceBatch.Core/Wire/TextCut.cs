namespace InferenceBatch.Wire;

/// <summary>Cuts text between characters: half a surrogate pair is text that UTF-8 cannot carry and no writer takes.</summary>
public static class TextCut
{
    /// <summary>The start of a text, at most so many UTF-16 units.</summary>
    public static string Start(string text, int longest) => text.Length <= longest ? text
        : text[..(longest > 0 && char.IsHighSurrogate(text[longest - 1]) ? longest - 1 : longest)];

    /// <summary>The end of a text, at most so many UTF-16 units.</summary>
    public static string End(string text, int longest) => text.Length <= longest ? text
        : text[(longest > 0 && char.IsLowSurrogate(text[^longest]) ? text.Length - longest + 1 : text.Length - longest)..];
}
