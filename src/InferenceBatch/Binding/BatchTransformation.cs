using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>Lets a parameter for batches also accept IDs of batches, alone or among batches.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class BatchTransformationAttribute : ArgumentTransformationAttribute
{
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        object? plain = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        return plain switch
        {
            string id => new Batch { Id = id },
            object[] items => items.Select(item => Transform(engineIntrinsics, item)).ToArray(),
            _ => inputData,
        };
    }
}
