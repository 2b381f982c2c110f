using System.Collections;
using System.Management.Automation;
using System.Text.Json;
using InferenceBatch.Model;
using InferenceBatch.Wire;

namespace InferenceBatch.Binding;

/// <summary>
/// Lets a parameter accept a JSON object as a hashtable, a PSCustomObject or JSON text. The value is checked and serialized once, at
/// binding, not for each input object. The parameter then contains <see cref="RawJson"/>.
/// </summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class JsonObjectTransformationAttribute : ArgumentTransformationAttribute
{
    /// <summary>Whether the parameter accepts several objects. It then contains <see cref="RawJson"/>[].</summary>
    public bool Many { get; init; }

    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        try
        {
            return Many ? All(inputData).ToArray() : One(inputData);
        }
        catch (UnwritableValueException exception)
        {
            throw new ArgumentTransformationMetadataException(exception.Message, exception);
        }
        catch (JsonException exception)
        {
            throw new ArgumentTransformationMetadataException(
                Unwrapped(inputData) is string text && text.AsSpan().TrimStart() is not ['{' or '[', ..]
                    ? Messages.Text("Argument.NotJsonText", PlainText.OneLine(text, 80)) : Messages.Text("Argument.NotJson", JsonFault.Place(exception)),
                exception);
        }
    }

    private static IEnumerable<RawJson> All(object input) => Unwrapped(input) switch
    {
        RawJson[] done => done,
        string text when text.AsSpan().TrimStart().StartsWith("[") => Items(text),
        IEnumerable items and not string when !DictionaryEntries.IsDictionary(items) => items.Cast<object>().SelectMany(All),
        _ => [One(input)],
    };

    private static RawJson One(object input)
    {
        object? plain = Unwrapped(input);
        if (plain is RawJson done)
        {
            return done;
        }

        byte[] json;
        if (plain is string text)
        {
            JsonText.Check(text);
            using var document = JsonDocument.Parse(text);
            json = ObjectJson.ToUtf8(document.RootElement);
        }
        else
        {
            json = ObjectJson.ToUtf8(input);
        }

        return json.Length > 0 && json[0] == (byte)'{' ? new RawJson(json)
            : throw new ArgumentTransformationMetadataException(Messages.Text("Argument.NotAnObject"));
    }

    private static RawJson[] Items(string text)
    {
        using var document = JsonDocument.Parse(text);
        return [.. document.RootElement.EnumerateArray().Select(item => One(item))];
    }

    private static object? Unwrapped(object? input) => input is PSObject wrapped ? wrapped.BaseObject : input;
}
