using System.Globalization;
using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// Converts a duration to seconds: a number, or a TimeSpan. Infinity and Timeout.InfiniteTimeSpan mean no limit (<see cref="TimeLimit"/>).
/// Rejects negative values and text that is not a number.
/// </summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class SecondsTransformationAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        double seconds;
        if (plain is TimeSpan span)
        {
            seconds = span == Timeout.InfiniteTimeSpan ? double.PositiveInfinity : span.TotalSeconds;
        }
        else if (!LanguagePrimitives.TryConvertTo(plain, CultureInfo.InvariantCulture, out seconds))
        {
            throw new ArgumentTransformationMetadataException(Messages.Text("Argument.NotSeconds", plain));
        }

        return seconds >= 0 ? seconds
            : throw new ArgumentTransformationMetadataException(Messages.Text("Argument.NegativeSeconds", seconds));
    }
}
