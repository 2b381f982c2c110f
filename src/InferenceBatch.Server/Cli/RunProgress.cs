using System.Globalization;
using InferenceBatch.Model;
using Spectre.Console;

namespace InferenceBatch.Server.Cli;

/// <summary>A progress bar on standard error, where that is a terminal; elsewhere nothing.</summary>
internal static class RunProgress
{
    private static readonly TimeSpan s_refresh = TimeSpan.FromMilliseconds(200);

    public static async Task<T> ShowAsync<T>(Func<RequestCounts> counts, Task<T> work)
    {
        if (Console.IsErrorRedirected)
        {
            return await work;
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
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
                bar.Description = string.Create(CultureInfo.InvariantCulture, $"{now.Done:N0}/{now.Total:N0} lines, {now.Failed:N0} failed");
                await Task.WhenAny(work, ticks.WaitForNextTickAsync().AsTask());
            }
            while (!work.IsCompleted);
            return await work;
        });
    }
}
