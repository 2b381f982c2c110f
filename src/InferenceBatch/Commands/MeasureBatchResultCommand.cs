using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Model;
using InferenceBatch.Results;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>
/// Measure-BatchResult: adds up the results of the pipeline, keeping none: outcomes, failures by code, tokens, and what
/// they cost where prices are known. One object, also for no results.
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

    /// <summary>What a million input tokens cost.</summary>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? InputPrice { get; set; }

    /// <summary>What a million output tokens cost.</summary>
    [Parameter]
    [ValidateRange(0.0, 1e12)]
    public decimal? OutputPrice { get; set; }

    /// <summary>A price table: JSON, {"MODEL*": {"input": 0.1, "output": 0.4}}.</summary>
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
