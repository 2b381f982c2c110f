using System.CommandLine;
using InferenceBatch.Server.Cli;

var root = new RootCommand("Batch inference on this machine: runs the Batch API as a local service, or processes one file.")
{
    ServeCommand.Create(),
    RunCommand.Create(),
};
ParseResult given = root.Parse(args);
return given.Errors.Count > 0
    ? Output.Problems(given.Errors.Select(error => error.Message))
    : await given.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
