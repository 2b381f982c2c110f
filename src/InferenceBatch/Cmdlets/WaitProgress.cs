using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Views;
using InferenceBatch.Waiting;
using InferenceBatch.Wire;

namespace InferenceBatch.Cmdlets;

/// <summary>Shows the progress of a wait for batches: phase, count and rate. Also has the texts of the warnings about a wait.</summary>
internal sealed class WaitProgress(ProgressReporter progress, TimeProvider? time = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly long _startedAt = (time ?? TimeProvider.System).GetTimestamp();
    private readonly Dictionary<string, Batch> _seen = [];
    private ProgressRate _rate = new();

    /// <summary>The text before the phase.</summary>
    public string Lead { get; set; } = "";

    public Batch? Last(string id) => _seen.GetValueOrDefault(id);

    /// <summary>Starts again with other batches.</summary>
    public void Clear()
    {
        _seen.Clear();
        _rate = new ProgressRate();
    }

    public void Show(Batch batch)
    {
        _seen[batch.Id] = batch;
        long done = _seen.Values.Sum(seen => seen.RequestCounts.Done);
        long total = _seen.Values.Sum(seen => seen.RequestCounts.Total);
        _rate.Report(_time.GetElapsedTime(_startedAt), done);
        TimeSpan? left = _rate.TimeLeft(total);
        progress.Report(done, total, () => Describe(done, total), left);
    }

    /// <summary>Returns the warning about a batch that has not changed for a long time.</summary>
    public static string StallText(Batch batch, TimeSpan unchanged) => Messages.Text(
        batch.Status == BatchStatus.Validating ? "Warning.StalledValidating" : "Warning.Stalled",
        batch.Id, ViewText.Status(batch), batch.RequestCounts.Done, batch.RequestCounts.Total, Math.Round(unchanged.TotalMinutes));

    /// <summary>Returns the warning about a batch that waits at a local service, with the service's reason.</summary>
    public static string HeldText(Batch batch, string reason) => Messages.Text("Warning.Held", batch.Id, PlainText.Of(reason));

    public static string TroubleText(ServiceException trouble) => Messages.Text("Warning.Unreachable", trouble.Message);

    /// <summary>Returns at most 60 characters, which fit into a window of 80 columns. The time left is in a field of its own.</summary>
    private string Describe(long done, long total)
    {
        int ended = _seen.Values.Count(batch => batch.IsFinished);
        string phase = _seen.Count == 1 ? ViewText.Status(_seen.Values.First()) : Messages.Text("Progress.Ended", ended, _seen.Count);
        string rate = ended == _seen.Count || _rate.PerSecond is not { } perSecond ? ""
            : perSecond >= 1 ? Messages.Text("Progress.PerSecond", perSecond)
            : Messages.Text("Progress.PerMinute", perSecond * 60);
        return Messages.Text("Progress.Done", Lead, phase, done, total, rate);
    }
}
