using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Session;
using InferenceBatch.Wire;

namespace InferenceBatch.Commands;

/// <summary>
/// Measure-BatchFile: estimates the tokens and the cost of a batch file before it is sent, as a low and a high value. Prices are per
/// million tokens, from the parameters, else from a price table, by default <c>InferenceBatch/prices.json</c> in the user's configuration
/// folder.
/// </summary>
[Cmdlet(VerbsDiagnostic.Measure, "BatchFile", DefaultParameterSetName = PathSet)]
[OutputType(typeof(BatchFileMeasure))]
public sealed class MeasureBatchFileCommand : BatchFileCommand
{
    private PriceTable _prices = new();

    /// <inheritdoc cref="MeasureBatchResultCommand.InputPrice"/>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? InputPrice { get; set; }

    /// <inheritdoc cref="MeasureBatchResultCommand.OutputPrice"/>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? OutputPrice { get; set; }

    /// <inheritdoc cref="MeasureBatchResultCommand.PricePath"/>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? PricePath { get; set; }

    /// <summary>The maximum length of an answer in tokens, for requests without their own limit.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int? MaxTokens { get; set; }

    protected override void BeginProcessing() => _prices = PriceChoice.Read(this, InputPrice, OutputPrice, PricePath);

    private protected override void ProcessFile(string path)
    {
        if (Paths.TryOpen(path) is not { } stream)
        {
            return;
        }

        using (stream)
        {
            long size = stream.Length;
            using var progress = new ProgressReporter(Messages.Text("Progress.Measuring", System.IO.Path.GetFileName(path)), WriteProgress);
            var bytes = new ByteProgress<long>(done => progress.Report(done, size, () => ByteProgress.Describe(done, size)));
            try
            {
                BatchFileMeasure measure = new FileMeasure(_prices) { MaxTokens = MaxTokens }.Measure(stream, path, bytes, StopToken);
                if (measure.UnreadableLines > 0)
                {
                    WriteWarning(Messages.Text("Warning.LinesUncounted", path, measure.UnreadableLines));
                }

                SessionMemory.NoteModels(measure.Models);
                WriteObject(measure);
            }
            catch (Exception exception) when (exception is IOException or TextEncodingException)
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
