using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Checks batch files as the service will, and lists every problem with its line.</summary>
[Cmdlet(VerbsDiagnostic.Test, "BatchFile", DefaultParameterSetName = PathSet)]
[OutputType(typeof(BatchFileReport), typeof(bool))]
public sealed class TestBatchFileCommand : BatchFileCommand
{
    /// <summary>The endpoint every line must name; that of the first line by default.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(EndpointCompleter))]
    [ValidateNotNullOrEmpty]
    public string? Endpoint { get; set; }

    /// <summary>Whose rules count: the name of a profile; the session's service by default, else any OpenAI-compatible one's.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ProviderCompleter))]
    [ValidateNotNullOrEmpty]
    public string? Provider { get; set; }

    /// <summary>Gives only whether the file is valid.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    private ServiceProfile Profile =>
        Provider is null ? SessionMemory.Default?.Profile ?? ServiceProfile.Generic : ServiceProfile.Find(Provider)!;

    protected override void BeginProcessing()
    {
        if (Provider is not null && ServiceProfile.Find(Provider) is null)
        {
            ThrowTerminatingError(ErrorRecords.Of(
                "InvalidValue.Provider", Provider, Provider, string.Join(", ", ServiceProfile.All)));
        }
    }

    private protected override void ProcessFile(string path)
    {
        if (Paths.TryOpen(path) is not { } stream)
        {
            return;
        }

        using (stream)
        {
            long size = stream.Length;
            using var progress = new ProgressReporter(Messages.Text("Progress.Checking", System.IO.Path.GetFileName(path)), WriteProgress);
            var bytes = new ByteProgress<long>(done => progress.Report(done, size, () => ByteProgress.Describe(done, size)));
            try
            {
                BatchFileReport report = new FileValidator(Profile.RulesFor(Endpoint)).Validate(stream, path, bytes, StopToken);
                SessionMemory.NoteModels(report.Models);
                WriteObject(Quiet ? report.IsValid : report);
            }
            catch (IOException exception)
            {
                WriteError(ErrorRecords.From(exception, path));
            }
            catch (OperationCanceledException)
            {
                throw new PipelineStoppedException();
            }
        }
    }
}
