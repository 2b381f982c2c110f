using System.Globalization;
using InferenceBatch.Model;
using Spectre.Console;

namespace InferenceBatch.Server.Cli;

/// <summary>Shows the progress of a run on standard error: a bar on a terminal, otherwise a line from time to time.</summary>
internal static class RunProgress
{
    /// <summary>The time between two lines without a terminal.</summary>
    public static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(10);

    /// <summary>The columns of a row that the bar, the numbers and the remaining time use.</summary>
    private const int ReservedWidth = 100;

    private const int MinTextWidth = 20;

    private static readonly TimeSpan s_refresh = TimeSpan.FromMilliseconds(200);

    private static IAnsiConsole? s_terminal;

    /// <summary>If standard error is a terminal, writes all later text above the bar. Call it before anything is logged.</summary>
    public static void KeepTextAboveBar()
    {
        if (!Console.IsErrorRedirected)
        {
            s_terminal = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
            Console.SetError(new TextAboveBar(s_terminal));
        }
    }

    public static Task<T> ShowAsync<T>(Func<RequestCounts> counts, Func<string?> waiting, Task<T> work) => s_terminal is null
        ? WriteLinesAsync(counts, waiting, work, Console.Error, TimeProvider.System) : DrawAsync(counts, waiting, work, s_terminal);

    public static async Task<T> WriteLinesAsync<T>(Func<RequestCounts> counts, Func<string?> waiting, Task<T> work, TextWriter writer, TimeProvider time)
    {
        long doneBefore = counts().Done;
        long start = time.GetTimestamp();
        using var ticks = new PeriodicTimer(LineInterval, time);
        Task<bool> tick = ticks.WaitForNextTickAsync().AsTask();
        while (await Task.WhenAny(work, tick) == tick)
        {
            RequestCounts now = counts();
            double rate = (now.Done - doneBefore) / time.GetElapsedTime(start).TotalSeconds;
            string left = rate > 0 ? string.Create(CultureInfo.InvariantCulture, $", about {(now.Total - now.Done) / rate:N0} s left") : "";
            writer.WriteLine(PluralFormat.Invariant($"{now.Done:N0} of {now.Total:N0} {now.Total:line|lines}, {now.Failed:N0} failed, {rate:N1} per second{left}") + (waiting() is { } what ? ". " + Wire.PlainText.Of(what) : ""));
            tick = ticks.WaitForNextTickAsync().AsTask();
        }

        return await work;
    }

    private static async Task<T> DrawAsync<T>(Func<RequestCounts> counts, Func<string?> waiting, Task<T> work, IAnsiConsole console)
    {
        Progress progress = console.Progress().AutoClear(true).Columns(
            new ProgressBarColumn(), new PercentageColumn(), new TaskDescriptionColumn(), new RemainingTimeColumn());
        return await progress.StartAsync(async context =>
        {
            ProgressTask bar = context.AddTask("lines", maxValue: counts().Total);
            using var ticks = new PeriodicTimer(s_refresh);
            do
            {
                RequestCounts now = counts();
                bar.Value = now.Done;
                bar.Description = PluralFormat.Invariant($"{now.Done:N0}/{now.Total:N0} {now.Total:line|lines}, {now.Failed:N0} failed") + (waiting() is { } what ? ". " + Markup.Escape(Wire.PlainText.OneLine(what, Math.Max(MinTextWidth, console.Profile.Width - ReservedWidth))) : "");
                await Task.WhenAny(work, ticks.WaitForNextTickAsync().AsTask());
            }
            while (!work.IsCompleted);
            return await work;
        });
    }
}
