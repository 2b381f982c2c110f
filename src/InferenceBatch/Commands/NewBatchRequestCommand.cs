using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Lines;
using InferenceBatch.Model;
using InferenceBatch.Service;

namespace InferenceBatch.Commands;

/// <summary>New-BatchRequest: builds one request for each input object.</summary>
[Cmdlet(VerbsCommon.New, "BatchRequest")]
[OutputType(typeof(BatchRequest))]
public sealed class NewBatchRequestCommand : RequestCommand
{
    private readonly Utf8KeyMap _ids = new();

    private protected override ServiceProfile? TargetProfile => Choice.FindProfile();

    protected override void ProcessRecord()
    {
        if (Build() is not { } request)
        {
            return;
        }

        if (_ids.TryAdd(request.CustomId, InputNumber, out int first))
        {
            Accept();
            WriteObject(request);
            return;
        }

        Refuse(ErrorRecords.Of("DuplicateCustomId", request.InputObject, Describe(request.InputObject), request.CustomId, first));
    }

    protected override void EndProcessing() => EndInput();
}
