using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>Lets a parameter that takes batches take their ids too, alone or among batches.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class BatchTransformationAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        return plain switch
        {
            string id => new Batch { Id = id },
            object[] many => many.Select(one => Transform(engineIntrinsics, one)).ToArray(),
            _ => inputData,
        };
    }
}
