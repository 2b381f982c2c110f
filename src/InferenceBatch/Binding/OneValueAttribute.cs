using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// Refuses a script block where one value holds for all input objects: PowerShell would take the block's own text as
/// the value, and every request would carry it.
/// </summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class OneValueAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData) =>
        (inputData is PSObject wrapped ? wrapped.BaseObject : inputData) is ScriptBlock block
            ? throw new ArgumentTransformationMetadataException(Messages.Text("Argument.ScriptBlock", block))
            : inputData;
}
