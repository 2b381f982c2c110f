using System.Collections;
using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>Lets a hashtable parameter accept a dictionary of any kind, and converts its values to text.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class TextTableTransformationAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        try
        {
            if (plain is null || DictionaryEntries.Of(plain) is not { } entries)
            {
                return inputData!;
            }

            var texts = new Hashtable();
            foreach ((string name, object? value) in entries)
            {
                texts[name] = Text(name, value);
            }

            return texts;
        }
        catch (UnwritableValueException exception)
        {
            throw new ArgumentTransformationMetadataException(exception.Message, exception);
        }
    }

    private static string Text(string name, object? value)
    {
        try
        {
            return ValueText.OrNull(value) ?? "";
        }
        catch (UnwritableValueException exception)
        {
            exception.Within(name);
            throw;
        }
    }
}
