using System.Globalization;
using InferenceBatch.Model;
using Spectre.Console;

namespace InferenceBatch.Server.Cli;

/// <summary>How far a run is, on standard error: a bar where that is a terminal, elsewhere a line now and then.</summary>
internal static class RunProgress
{
    /// <summary>Between two lines where there is no terminal.</summary>
    public static readonly TimeSpan LineEvery = TimeSpan.FromSeconds(10);

    /// <summary>What the bar, the numbers and the time left take of a row.</summary>
    private const int WidthOfTheRest = 100;

    private const int LeastText = 20;

    private static readonly TimeSpan s_refresh = TimeSpan.FromMilliseconds(200);

    private static IAnsiConsole? s_terminal;

    /// <summary>Where standard error is a terminal, has what is written there from now on stand above the bar; to be called before anything logs.</summary>
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
        using var ticks = new PeriodicTimer(LineEvery, time);
        Task<bool> tick = ticks.WaitForNextTickAsync().AsTask();
        while (await Task.WhenAny(work, tick) == tick)
        {
            RequestCounts now = counts();
            double rate = (now.Done - doneBefore) / time.GetElapsedTime(start).TotalSeconds;
            string left = rate > 0 ? string.Create(CultureInfo.InvariantCulture, $", about {(now.Total - now.Done) / rate:N0} s left") : "";
            writer.WriteLine(PluralFormat.Invariant($"{now.Done:N0} of {now.Total:N0} {now.Total:line|lines}, {now.Failed:N0} failed, {rate:N1} a second{left}") + (waiting() is { } what ? ". " + what : ""));
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
                bar.Description = PluralFormat.Invariant($"{now.Done:N0}/{now.Total:N0} {now.Total:line|lines}, {now.Failed:N0} failed") + (waiting() is { } what ? ". " + Markup.Escape(Wire.TextCut.Start(what, Math.Max(LeastText, console.Profile.Width - WidthOfTheRest))) : "");
                await Task.WhenAny(work, ticks.WaitForNextTickAsync().AsTask());
            }
            while (!work.IsCompleted);
            return await work;
        });
    }
}
