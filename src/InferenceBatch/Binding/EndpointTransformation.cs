using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>Lets -Endpoint accept the short names of the usual endpoints: <c>chat</c>, <c>embeddings</c>, <c>/chat/completions</c>, <c>v1/responses</c>.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class EndpointTransformationAttribute : ArgumentTransformationAttribute
{
    public override bool TransformNullOptionalParameters => false;

    public override object? Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        if ((inputData is PSObject wrapped ? wrapped.BaseObject : inputData) is not string text)
        {
            return inputData;
        }

        string name = text.Trim().TrimStart('/').ToLowerInvariant();
        name = name.StartsWith("v1/", StringComparison.Ordinal) ? name[3..] : name;
        return name switch
        {
            "chat" or "chat/completions" => "/v1/chat/completions",
            "completions" or "embeddings" or "responses" or "moderations" => "/v1/" + name,
            _ when text.StartsWith('/') => text,
            _ => throw new ArgumentTransformationMetadataException(Messages.Text("Argument.NotAnEndpoint", text)),
        };
    }
}
