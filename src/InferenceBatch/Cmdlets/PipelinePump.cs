using System.Management.Automation;
using System.Threading.Channels;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Passes the output of asynchronous work, in order, to the pipeline thread, which is the only one that may write. The queue is bounded: if
/// downstream commands are slower than the work, the work waits, and memory use stays constant.
/// </summary>
/// <remarks>
/// The pipeline thread wakes for several objects together, or after 10 ms, because waking it for each object costs more than writing the
/// object.
/// Thread-safe. All Write methods throw <see cref="OperationCanceledException"/> after the command was stopped.
/// Do not call them from the pipeline thread.
/// </remarks>
internal sealed class PipelinePump(CancellationToken stopped) : IDisposable
{
    private const int Capacity = 256;
    private const int WakeThreshold = 64;

    private static readonly TimeSpan s_longestSleep = TimeSpan.FromMilliseconds(10);

    private readonly Channel<Item> _items = Channel.CreateBounded<Item>(new BoundedChannelOptions(Capacity) { SingleReader = true });
    private readonly ManualResetEventSlim _wake = new(false, spinCount: 0);
    private volatile bool _isComplete;

    private enum Kind
    {
        Object,
        Error,
        Warning,
        Verbose,
        Progress,
    }

    /// <summary>Queues an object for the output stream. Completes when the queue has room, not when the object was written.</summary>
    public ValueTask WriteObjectAsync(object? value)
    {
        var item = new Item(Kind.Object, value);
        if (!stopped.IsCancellationRequested && _items.Writer.TryWrite(item))
        {
            WakeIfManyWait();
            return default;
        }

        _wake.Set();
        return _items.Writer.WriteAsync(item, stopped);
    }

    /// <summary>Queues a non-terminating error.</summary>
    public void WriteError(ErrorRecord error) => Post(Kind.Error, error);

    public void WriteWarning(string text) => Post(Kind.Warning, text);

    public void WriteVerbose(string text) => Post(Kind.Verbose, text);

    /// <summary>Queues a progress record. If the queue is full, the record is dropped unless it is the last one, because a newer one follows.</summary>
    public void WriteProgress(ProgressRecord record)
    {
        if (!_items.Writer.TryWrite(new Item(Kind.Progress, record)) && record.RecordType == ProgressRecordType.Completed && !stopped.IsCancellationRequested)
        {
            Post(Kind.Progress, record);
        }
    }

    public void Dispose() => _wake.Dispose();

    /// <summary>Ends the output.</summary>
    internal void Complete()
    {
        _isComplete = true;
        _wake.Set();
    }

    /// <summary>Writes the output until <see cref="Complete"/>. Call it on the pipeline thread.</summary>
    internal void Drain(Cmdlet cmdlet)
    {
        bool isLast;
        do
        {
            isLast = _isComplete; // Everything queued before Complete is read below.
            while (_items.Reader.TryRead(out Item item))
            {
                Write(cmdlet, item);
            }

            if (!isLast)
            {
                _wake.Wait(s_longestSleep, CancellationToken.None);
                _wake.Reset();
            }
        }
        while (!isLast);
    }

    private static void Write(Cmdlet cmdlet, Item item)
    {
        switch (item.Kind)
        {
            case Kind.Object:
                cmdlet.WriteObject(item.Value);
                break;
            case Kind.Error:
                cmdlet.WriteError((ErrorRecord)item.Value!);
                break;
            case Kind.Warning:
                cmdlet.WriteWarning((string)item.Value!);
                break;
            case Kind.Verbose:
                cmdlet.WriteVerbose((string)item.Value!);
                break;
            case Kind.Progress:
                cmdlet.WriteProgress((ProgressRecord)item.Value!);
                break;
        }
    }

    private void WakeIfManyWait()
    {
        if (_items.Reader.Count >= WakeThreshold && !_wake.IsSet)
        {
            _wake.Set();
        }
    }

    private void Post(Kind kind, object value)
    {
        var item = new Item(kind, value);
        if (!_items.Writer.TryWrite(item))
        {
            _wake.Set();
            _items.Writer.WriteAsync(item, stopped).AsTask().GetAwaiter().GetResult();
        }
    }

    private readonly record struct Item(Kind Kind, object? Value);
}
