using System.Diagnostics;
using System.Globalization;
using InferenceBatch.Server.Diagnostics;

namespace InferenceBatch.Server.Execution.Upstreams;

/// <summary>An upstream whose requests are counted, and of which is known how it last did.</summary>
internal sealed class WatchedUpstream(IUpstream inner, TimeProvider time) : IUpstream
{
    private long _heardTicks;
    private volatile UpstreamFailure? _failure;

    /// <summary>When it was last known how the upstream does; the beginning of time where it never was.</summary>
    public DateTimeOffset HeardAt => new(Interlocked.Read(ref _heardTicks), TimeSpan.Zero);

    /// <summary>Null where the last answer was a good one, or there was none yet.</summary>
    public UpstreamFailure? Failure => _failure;

    public async Task<UpstreamAnswer> SendAsync(string endpoint, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        string status = "abandoned";
        long start = Stopwatch.GetTimestamp();
        Meters.AddInFlight(1);
        try
        {
            UpstreamAnswer answer = await inner.SendAsync(endpoint, body, cancellationToken);
            Note(answer);
            status = answer.StatusCode.ToString(CultureInfo.InvariantCulture);
            Meters.Latency.RecordSince(start);
            return answer;
        }
        catch (UpstreamException exception)
        {
            status = "error";
            Note(exception);
            throw;
        }
        finally
        {
            Meters.AddInFlight(-1);
            Meters.Requests.Add(1, new KeyValuePair<string, object?>("status", status));
        }
    }

    public async Task<UpstreamAnswer> ListModelsAsync(CancellationToken cancellationToken)
    {
        try
        {
            UpstreamAnswer answer = await inner.ListModelsAsync(cancellationToken);
            Note(answer);
            return answer;
        }
        catch (UpstreamException exception)
        {
            NoteFailure(exception.Message);
            throw;
        }
    }

    public void NoteFailure(string reason)
    {
        DateTimeOffset now = time.GetUtcNow();
        Interlocked.Exchange(ref _heardTicks, now.UtcTicks);
        _failure = new UpstreamFailure(_failure?.Since ?? now, reason);
    }

    public void Dispose() => inner.Dispose();

    /// <summary>A refusal of one line says nothing of the next; a refused key and a failing server do.</summary>
    private void Note(UpstreamAnswer answer)
    {
        if (answer.StatusCode is 401 or >= 500)
        {
            NoteFailure($"It answers {answer.StatusCode}{(answer.StatusCode == 401 ? ": its key is missing or wrong" : "")}.");
        }
        else
        {
            NoteHealth();
        }
    }

    /// <summary>An answer that is too large is an answer.</summary>
    private void Note(UpstreamException exception)
    {
        if (exception.Fault == UpstreamFault.TooLarge)
        {
            NoteHealth();
        }
        else
        {
            NoteFailure(exception.Message);
        }
    }

    private void NoteHealth()
    {
        Interlocked.Exchange(ref _heardTicks, time.GetUtcNow().UtcTicks);
        _failure = null;
    }
}
