using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>
/// Measure-BatchResult: adds up the results from the pipeline without keeping them: outcomes, failures by code, tokens, and the cost if
/// prices are known.
/// Returns one object, also for no results.
/// </summary>
[Cmdlet(VerbsDiagnostic.Measure, "BatchResult")]
[OutputType(typeof(BatchResultMeasure))]
public sealed class MeasureBatchResultCommand : BatchCommand
{
    private ResultMeasure? _measure;

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [Alias("Result")]
    [AllowEmptyCollection]
    [AllowNull]
    public BatchResult[]? InputObject { get; set; }

    /// <summary>The price of a million input tokens.</summary>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? InputPrice { get; set; }

    /// <summary>The price of a million output tokens.</summary>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? OutputPrice { get; set; }

    /// <summary>The path of a price table: JSON such as {"MODEL*": {"input": 0.1, "output": 0.4}}.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? PricePath { get; set; }

    protected override void BeginProcessing() => _measure = new ResultMeasure(PriceChoice.Read(this, InputPrice, OutputPrice, PricePath));

    protected override void ProcessRecord()
    {
        foreach (BatchResult? result in InputObject ?? [])
        {
            if (result is not null)
            {
                _measure!.Add(result);
            }
        }
    }

    protected override void EndProcessing()
    {
        BatchResultMeasure sum = _measure!.Sum();
        SessionMemory.NoteModels(sum.Models);
        WriteObject(sum);
    }
}
