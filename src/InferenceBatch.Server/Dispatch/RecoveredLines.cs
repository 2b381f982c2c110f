using System.Collections;
using InferenceBatch.Lines;
using InferenceBatch.Server.Statistics;

namespace InferenceBatch.Server.Dispatch;

/// <summary>The lines of an input file that have a result when its result files are opened.</summary>
/// <param name="spans">The requests of the file, in its order.</param>
internal sealed class RecoveredLines(RequestSpan[] spans)
{
    /// <summary>Which requests have a result.</summary>
    public BitArray Done { get; } = new(spans.Length);

    public LineStatistics Statistics { get; } = new();

    /// <summary>Adds the result of a line; returns false if the input does not have the line, or if it has a result already.</summary>
    /// <param name="line">The number of the line.</param>
    /// <param name="outcome">How it ended.</param>
    public bool Add(int line, LineOutcome outcome)
    {
        int index = IndexOf(line);
        if (index < 0 || Done[index])
        {
            return false;
        }

        Done[index] = true;
        Statistics.Add(line, outcome);
        return true;
    }

    private int IndexOf(int line)
    {
        int low = 0;
        int high = spans.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            if (spans[middle].Line == line)
            {
                return middle;
            }

            (low, high) = spans[middle].Line < line ? (middle + 1, high) : (low, middle - 1);
        }

        return -1;
    }
}
