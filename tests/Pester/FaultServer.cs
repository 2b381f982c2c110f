using System.Linq;
using InferenceBatch;

/// <summary>The server of tests/Shared as Pester tests use it: routes are prefixes, and scripting a route returns nothing.</summary>
public sealed class FaultServer : InferenceBatch.FaultServer
{
    public FaultServer() => MatchesPrefixes = true;

    public Exchange[] Calls => Requests.ToArray();

    public new void On(string route, params Behaviour[] answers) => base.On(route, answers);
}
