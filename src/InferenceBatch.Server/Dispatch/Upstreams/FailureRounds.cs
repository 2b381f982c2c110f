namespace InferenceBatch.Server.Dispatch.Upstreams;

/// <summary>
/// Tells lines that fail (500) together, because too many are in flight, from bad ones. A round is as many ends of lines as
/// there are lines in flight. If half of them fail, the round is a strain.
/// </summary>
/// <remarks>Not safe for several threads.</remarks>
internal sealed class FailureRounds
{
    /// <summary>Ends of lines in a round, at least: of fewer a share says little.</summary>
    private const int FewestEnds = 8;

    /// <summary>Rounds that are remembered: a line that fails is judged again within a minute.</summary>
    private const int MostRemembered = 1000;

    private readonly HashSet<long> _strains = [];
    private int _ends;
    private int _failures;

    /// <summary>The number of the round.</summary>
    public long Number { get; private set; } = 1;

    /// <summary>Whether a round was a strain.</summary>
    public bool WasStrain(long number) => _strains.Contains(number);

    /// <summary>A line was answered.</summary>
    public void Answered() => _ends++;

    /// <summary>A line failed; true when its round is a strain.</summary>
    /// <param name="inFlight">Lines in flight, this one included.</param>
    /// <param name="mayBeStrain">Whether there is no better explanation.</param>
    public bool Failed(int inFlight, bool mayBeStrain)
    {
        int ends = Math.Max(FewestEnds, inFlight);
        if (++_ends > ends)
        {
            (Number, _ends, _failures) = (Number + 1, 1, 0);
        }

        if (++_failures < ends / 2 || !mayBeStrain)
        {
            return false;
        }

        _strains.RemoveWhere(number => number <= Number - MostRemembered);
        _strains.Add(Number);
        Restart();
        return true;
    }

    /// <summary>Begins a round.</summary>
    public void Restart() => (Number, _ends, _failures) = (Number + 1, 0, 0);
}
