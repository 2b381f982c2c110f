using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Server.Batches;
using InferenceBatch.Server.Dispatch.Upstreams;

namespace InferenceBatch.Server.Cli;

/// <summary><c>inference-batch run</c>: processes one file with the same engine, without a server.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var command = new Command("run", "Runs the requests of one file and writes two result files. To resume a stopped run, run the same command again.");
        var input = new Argument<string>("INPUT.jsonl") { Description = "The requests, one per line, in the format of the Batch API." };
        input.Validators.Add(Settings.RefuseEmpty);
        command.Add(input);
        var options = new Settings(command);
        options.Add("output", "OUT.jsonl", "The file for the answers. Default: INPUT.output.jsonl.");
        options.Add("errors", "ERR.jsonl", "The file for the lines that fail. Default: OUT.errors.jsonl with --output OUT.jsonl, otherwise INPUT.errors.jsonl.");
        options.Add("endpoint", "PATH", "The endpoint of every line, such as /v1/chat/completions. Default: the endpoint of the first line.");
        EngineOptions.Add(options);
        LogOptions.Add(options);
        command.SetAction(async (given, cancellationToken) =>
        {
            options.Use(given);
            EngineSettings settings = EngineOptions.Read(options) with
            {
                MaxRequests = int.MaxValue,
                MaxFileBytes = long.MaxValue,
                GivesUpOnUpstream = true, // A run has no completion window that would end the wait for an upstream.
            };
            string upstream = EngineOptions.ReadUpstream(options);
            string? key = options.Secret("upstream-key-env");
            string? endpoint = options.Value<string?>("endpoint", null, ReadEndpoint);
            FileRunPaths paths = FileRunPaths.Of(given.GetRequiredValue(input), options.Text("output"), options.Text("errors"));
            Action<ILoggingBuilder> logging = LogOptions.Read(options);
            CheckPaths(paths, options);
            return options.Problems.Count > 0
                ? Output.Problems(options.Problems)
                : await RunAsync(paths, endpoint, settings, () => UpstreamAddress.Create(upstream, key, TimeProvider.System), options.Text("upstream") is null, logging, cancellationToken);
        });
        return command;
    }

    private static string ReadEndpoint(string text) => ValidationRules.FindEndpoint(text)
        ?? throw new FormatException($"'{text}' is not a known endpoint. Use one of these: {string.Join(", ", ValidationRules.KnownEndpoints)}.");

    private static void CheckPaths(FileRunPaths paths, Settings options)
    {
        if (Directory.Exists(paths.Input))
        {
            options.Refuse($"'{paths.Input}' is a folder. Name a file.");
        }
        else if (!File.Exists(paths.Input))
        {
            options.Refuse($"The file '{paths.Input}' does not exist.");
        }
        else if (InputFile.Info(paths.Input) is not { Exists: true, Length: > 0 })
        {
            // Do not open the file: opening a pipe waits for a writer, and signals are not handled in the meantime.
            options.Refuse($"'{paths.Input}' is empty, or a pipe or device. Use a regular file, because the requests are read more than once.");
        }

        if (paths.All.CountBy(path => path).Any(path => path.Value > 1))
        {
            options.Refuse("The input, --output and --errors must be three different files, and not the .partial, .lock or .mended file of another one.");
        }
    }

    private static async Task<int> RunAsync(
        FileRunPaths paths, string? endpoint, EngineSettings settings, Func<IUpstream> createUpstream, bool isDefaultUpstream, Action<ILoggingBuilder> logging, CancellationToken cancellationToken)
    {
        using var signals = new StopSignals(cancellationToken);
        try
        {
            ValidationRules rules = ValidationRules.LocalService with
            {
                Endpoint = endpoint,
                MaxRequests = settings.MaxRequests,
                MaxBytes = settings.MaxFileBytes,
                MaxIssues = int.MaxValue,
            };
            FileStamp stamp = FileStamp.Of(paths.Input);
            using var check = new InputCheck();
            (BatchFileReport report, RequestSpan[] spans) = await check.RunAsync(paths.Input, rules, signals.Stop);
            if (!report.IsValid)
            {
                return Output.Problems(report.Issues
                    .Where(issue => issue.Severity == IssueSeverity.Error)
                    .Select(issue => $"{paths.Input}: {issue}"));
            }

            RunProgress.KeepTextAboveBar();
            using FileRun run = FileRun.Open(paths, report.Endpoint!, spans, stamp, settings);
            using ILoggerFactory loggers = LoggerFactory.Create(logging);
            ILogger logger = loggers.CreateLogger("inference-batch");
            using var upstream = new UpstreamControl(createUpstream(), settings, TimeProvider.System, logger);
            if (isDefaultUpstream)
            {
                Console.Error.WriteLine("The built-in echo model answers each prompt with the prompt itself. Use --upstream to send the requests to a model server.");
            }

            return await RunLinesAsync(run, paths, upstream, logger, signals.Stop);
        }
        catch (OperationCanceledException) when (signals.Stop.IsCancellationRequested)
        {
            return ExitCodes.Interrupted;
        }
        catch (InvalidDataException exception)
        {
            return Output.Problems([$"{exception.Message} Use another --output and --errors, or move these files."]);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or UpstreamException)
        {
            return Output.Problems([exception.Message]);
        }
    }

    private static async Task<int> RunLinesAsync(FileRun run, FileRunPaths paths, UpstreamControl upstream, ILogger logger, CancellationToken stop)
    {
        long doneBefore = run.Counts.Done;
        if (doneBefore > 0)
        {
            Console.Error.WriteLine(PluralFormat.Invariant($"{doneBefore:N0} of {run.Counts.Total:N0} {run.Counts.Total:line|lines} {doneBefore:has|have} a result already and {doneBefore:is|are} not sent again. To send all lines again, delete '{paths.Output}' and '{paths.Errors}' (or their .partial files)."));
        }

        long start = Stopwatch.GetTimestamp();
        bool isComplete = await RunProgress.ShowAsync(() => run.Counts, () => upstream.Waiting(RunProgress.LineInterval), run.RunAsync(upstream, TimeProvider.System, logger, stop));
        string seconds = Stopwatch.GetElapsedTime(start).TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);
        if (!isComplete)
        {
            Console.Error.WriteLine(PluralFormat.Invariant(
                $"Stopped with {run.Counts.Done:N0} of {run.Counts.Total:N0} {run.Counts.Total:line|lines} done. To resume, run the same command again."));
            return ExitCodes.Interrupted;
        }

        string tokens = run.Usage is { } usage ? PluralFormat.Invariant($"; {usage.InputTokens:N0} {usage.InputTokens:token|tokens} in, {usage.OutputTokens:N0} out") : "";
        Console.Out.WriteLine(PluralFormat.Invariant(
            $"{run.Counts.Total:N0} {run.Counts.Total:line|lines} in {seconds} s: {run.Counts.Completed:N0} succeeded, {run.Counts.Failed:N0} failed{(run.Retries is { Total: > 0 } retries ? ", " + retries : "")}{tokens}"));
        Console.Out.WriteLine($"output: {paths.Output}");
        Console.Out.WriteLine($"errors: {paths.Errors}");
        return run.Counts.Failed > 0 ? ExitCodes.LinesFailed : ExitCodes.Success;
    }
}
