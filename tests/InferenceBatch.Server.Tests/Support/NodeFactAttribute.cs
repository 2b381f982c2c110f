namespace InferenceBatch.Server.Tests.Support;

/// <summary>A test with OpenAI's npm client. It requires node, npm, and the package from npm's registry or cache.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NodeFactAttribute : FactAttribute
{
    public NodeFactAttribute() => Skip = CompatProject.Problem;
}
