using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// Rejects a script block for a parameter with one value for all input objects. PowerShell would use the text of the block as the value,
/// and send it in every request.
/// </summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class OneValueAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData) =>
        (inputData is PSObject wrapped ? wrapped.BaseObject : inputData) is ScriptBlock block
            ? throw new ArgumentTransformationMetadataException(Messages.Text("Argument.ScriptBlock", block))
            : inputData;
}
