using System.Management.Automation;
using InferenceBatch.Cmdlets;
using InferenceBatch.Model;
using InferenceBatch.Service;
using InferenceBatch.Session;

namespace InferenceBatch.Commands;

/// <summary>Stop-Batch: cancels batches. Requests answered before keep their results, and are billed.</summary>
[Cmdlet(VerbsLifecycle.Stop, "Batch", SupportsShouldProcess = true, DefaultParameterSetName = BatchSet)]
[OutputType(typeof(Batch))]
public sealed class StopBatchCommand : BatchInputCommand
{
    private readonly List<BatchInput> _stopping = [];

    /// <summary>Waits until the batches have ended.</summary>
    [Parameter]
    public SwitchParameter Wait { get; set; }

    protected override void ProcessRecord()
    {
        foreach ((string id, Batch? known) in Inputs)
        {
            ServiceConnection connection = Resolve(known);
            if (!ShouldProcess(Messages.Text("Target.At", id, connection), Messages.Text("Action.CancelBatch"))
                || !TryRun((pump, token) => ClientFor(connection, pump).CancelBatchAsync(id, token), id, out Batch? batch))
            {
                continue;
            }

            SessionMemory.Remember(batch, connection);
            if (Wait)
            {
                _stopping.Add(new BatchInput(batch.Id, batch) { Connection = connection });
            }
            else
            {
                WriteObject(batch);
            }
        }
    }

    protected override void EndProcessing()
    {
        if (_stopping.Count == 0)
        {
            return;
        }

        var wait = new BatchWait(this, null, null);
        wait.RunAndResume(() => RunOrThrow(
            async (pump, token) =>
            {
                await foreach (Batch batch in wait.WaitAsync(_stopping, pump, token).ConfigureAwait(false))
                {
                    await pump.WriteObjectAsync(batch).ConfigureAwait(false);
                }

                return true;
            },
            _stopping));
    }
}
