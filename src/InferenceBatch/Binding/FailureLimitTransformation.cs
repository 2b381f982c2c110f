using System.Globalization;
using System.Management.Automation;
using InferenceBatch.Model;
using InferenceBatch.Runs;

namespace InferenceBatch.Binding;

/// <summary>Converts a count, or a percentage as text, to a <see cref="FailureLimit"/>. Rejects other values.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class FailureLimitTransformationAttribute : ArgumentTransformationAttribute
{
    public override object? Transform(EngineIntrinsics engineIntrinsics, object? inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        return plain is null or FailureLimit ? plain
            : FailureLimit.TryParse(Convert.ToString(plain, CultureInfo.InvariantCulture), out FailureLimit? limit) ? limit
            : throw new ArgumentTransformationMetadataException(Messages.Text("Argument.NotFailureLimit", plain));
    }
}
