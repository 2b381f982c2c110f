using System.Collections;
using System.Collections.ObjectModel;
using System.Management.Automation;

namespace InferenceBatch.Binding;

/// <summary>
/// The value of a parameter for one input object. A script block is called with the object as <c>$_</c>, like a delay-bind
/// script block of PowerShell's own. The commands call it themselves, because PowerShell converts the output to text in the
/// current culture, swallows errors in it, and does not tell a command that a row could not be bound.
/// </summary>
internal static class RowValue
{
    /// <summary>Returns the script block that a parameter was given as; null for any other value.</summary>
    public static ScriptBlock? ScriptOf(object? parameter) => (parameter is PSObject wrapped ? wrapped.BaseObject : parameter) as ScriptBlock;

    /// <summary>Returns the value as text; null for null, and for a script block without output.</summary>
    /// <param name="name">The name of the parameter.</param>
    /// <param name="parameter">The parameter as bound.</param>
    /// <param name="input">The input object.</param>
    /// <exception cref="RowScriptException">The script block threw.</exception>
    /// <exception cref="UnwritableValueException">The value is not text.</exception>
    public static string? Text(string name, object? parameter, object? input)
    {
        object? value = Of(name, parameter, input);
        try
        {
            return ValueText.OrNull(value);
        }
        catch (UnwritableValueException exception)
        {
            exception.Within(name);
            throw;
        }
    }

    /// <summary>Returns a value, or the items of a list, as texts; null and empty texts are left out.</summary>
    /// <inheritdoc cref="Text"/>
    public static string[] Texts(string name, object? parameter, object? input)
    {
        object? value = Of(name, parameter, input);
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        try
        {
            return plain is IEnumerable items and not string && !DictionaryEntries.IsDictionary(plain)
                ? [.. items.Cast<object?>().Select(ValueText.OrNull).OfType<string>().Where(text => text.Length > 0)]
                : ValueText.OrNull(value) is { Length: > 0 } text ? [text] : [];
        }
        catch (UnwritableValueException exception)
        {
            exception.Within(name);
            throw;
        }
    }

    private static object? Of(string name, object? parameter, object? input)
    {
        if (ScriptOf(parameter) is not { } script)
        {
            return parameter;
        }

        try
        {
            // The list is new for each call: InvokeWithContext removes $_ from it.
            Collection<PSObject?> output = script.InvokeWithContext(null, [new PSVariable("_", input)]);
            return output.Count switch
            {
                0 => null,
                1 => output[0],
                _ => output.ToArray(),
            };
        }
        catch (PipelineStoppedException)
        {
            throw;
        }
        catch (Exception exception) when (exception is RuntimeException or InvalidOperationException)
        {
            throw new RowScriptException(name, exception);
        }
    }
}
