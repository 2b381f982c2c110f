namespace InferenceBatch.Wire;

/// <summary>Cuts text without splitting a surrogate pair: UTF-8 cannot represent half a pair, and JSON writers reject it.</summary>
public static class TextCut
{
    /// <summary>Returns the start of a text, <paramref name="maxLength"/> UTF-16 units at most.</summary>
    public static string Start(string text, int maxLength) => text.Length <= maxLength ? text
        : text[..(maxLength > 0 && char.IsHighSurrogate(text[maxLength - 1]) ? maxLength - 1 : maxLength)];

    /// <summary>Returns the end of a text, <paramref name="maxLength"/> UTF-16 units at most.</summary>
    public static string End(string text, int maxLength) => text.Length <= maxLength ? text
        : text[(maxLength > 0 && char.IsLowSurrogate(text[^maxLength]) ? text.Length - maxLength + 1 : text.Length - maxLength)..];
}
