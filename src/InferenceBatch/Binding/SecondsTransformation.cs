using System.Globalization;
using System.Management.Automation;
using InferenceBatch.Model;
using InferenceBatch.Pipeline;

namespace InferenceBatch.Binding;

/// <summary>Durations are seconds; a TimeSpan is taken too. Refuses what is negative or not finite.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class SecondsTransformationAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        double seconds;
        if (plain is TimeSpan span)
        {
            seconds = span.TotalSeconds;
        }
        else if (!LanguagePrimitives.TryConvertTo(plain, CultureInfo.InvariantCulture, out seconds))
        {
            throw new ArgumentTransformationMetadataException(Messages.Text("Argument.NotSeconds", plain));
        }

        return double.IsFinite(seconds) && seconds >= 0 ? seconds
            : throw new ArgumentTransformationMetadataException(Messages.Text("Argument.NegativeSeconds", seconds));
    }
}
