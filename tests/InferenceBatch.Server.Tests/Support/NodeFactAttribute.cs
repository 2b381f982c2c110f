namespace InferenceBatch.Server.Tests.Support;

/// <summary>A test with npm clients. It requires node, npm, and the packages from npm's registry or cache.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NodeFactAttribute : FactAttribute
{
    public NodeFactAttribute() => Skip = CompatProject.Problem;
}
