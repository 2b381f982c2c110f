using System.Globalization;
using System.Management.Automation;
using InferenceBatch.Model;
using InferenceBatch.Runs;

namespace InferenceBatch.Binding;

/// <summary>A limit of failures is a count, or a percentage as text. Refuses what is neither.</summary>
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
