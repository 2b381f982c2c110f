using System.Management.Automation;
using InferenceBatch.Model;
using InferenceBatch.Pipeline;

namespace InferenceBatch.Commands;

/// <summary>New-BatchRequest: builds one request for each input object.</summary>
[Cmdlet(VerbsCommon.New, "BatchRequest")]
[OutputType(typeof(BatchRequest))]
public sealed class NewBatchRequestCommand : RequestCommand
{
    protected override void ProcessRecord()
    {
        if (Build() is { } request)
        {
            WriteObject(request);
        }
    }
}
