using System.Management.Automation;
using InferenceBatch.Binding;
using InferenceBatch.Cmdlets;
using InferenceBatch.Completion;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Test-BatchFile: checks batch files by the rules of the service, and lists every problem with its line.</summary>
[Cmdlet(VerbsDiagnostic.Test, "BatchFile", DefaultParameterSetName = PathSet)]
[OutputType(typeof(BatchFileReport), typeof(bool))]
public sealed class TestBatchFileCommand : BatchFileCommand
{
    /// <summary>The endpoint that every line must have. By default that of the first line.</summary>
    [Parameter]
    [EndpointTransformation]
    [ArgumentCompleter(typeof(EndpointCompleter))]
    [ValidateNotNullOrEmpty]
    public string? Endpoint { get; set; }

    /// <summary>The name of the profile whose rules apply. By default that of the session's service, else of any OpenAI-compatible service.</summary>
    [Parameter]
    [ArgumentCompleter(typeof(ProviderCompleter))]
    [ValidateNotNullOrEmpty]
    public string? Provider { get; set; }

    /// <summary>Returns only whether the file is valid.</summary>
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
