using System.Management.Automation;
using System.Threading.Channels;

namespace InferenceBatch.Cmdlets;

/// <summary>
/// Carries what asynchronous work wants written to the pipeline thread, the only one that may write, in the order it
/// was posted. The queue is bounded: work that is faster than what stands downstream waits, and memory stays flat.
/// </summary>
/// <remarks>
/// The pipeline thread is woken for some objects together, or after a moment: one waking an object would cost more than the object.
/// Safe for several threads. Every posting throws <see cref="OperationCanceledException"/> once the command is stopped.
/// Never post from the pipeline thread itself.
/// </remarks>
internal sealed class PipelinePump(CancellationToken stopped) : IDisposable
{
    private const int Capacity = 256;
    private const int WorthWaking = 64;

    private static readonly TimeSpan s_moment = TimeSpan.FromMilliseconds(10);

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

    /// <summary>Posts an object for the output stream; done when there is room, not when it was written.</summary>
    public ValueTask WriteObjectAsync(object? value)
    {
        var item = new Item(Kind.Object, value);
        if (!stopped.IsCancellationRequested && _items.Writer.TryWrite(item))
        {
            WakeWhenWorthIt();
            return default;
        }

        _wake.Set();
        return _items.Writer.WriteAsync(item, stopped);
    }

    /// <summary>Posts a non-terminating error.</summary>
    public void WriteError(ErrorRecord error) => Post(Kind.Error, error);

    public void WriteWarning(string text) => Post(Kind.Warning, text);

    public void WriteVerbose(string text) => Post(Kind.Verbose, text);

    /// <summary>Posts a progress record; one that is not the last is dropped when the queue is full, for the next one says more.</summary>
    public void WriteProgress(ProgressRecord record)
    {
        if (!_items.Writer.TryWrite(new Item(Kind.Progress, record)) && record.RecordType == ProgressRecordType.Completed && !stopped.IsCancellationRequested)
        {
            Post(Kind.Progress, record);
        }
    }

    public void Dispose() => _wake.Dispose();

    /// <summary>Says that nothing more will be posted.</summary>
    internal void Complete()
    {
        _isComplete = true;
        _wake.Set();
    }

    /// <summary>Writes what is posted until <see cref="Complete"/>; to be called on the pipeline thread.</summary>
    internal void Drain(Cmdlet cmdlet)
    {
        bool isLast;
        do
        {
            isLast = _isComplete; // What was posted before that is there now.
            while (_items.Reader.TryRead(out Item item))
            {
                Write(cmdlet, item);
            }

            if (!isLast)
            {
                _wake.Wait(s_moment, CancellationToken.None);
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

    private void WakeWhenWorthIt()
    {
        if (_items.Reader.Count >= WorthWaking && !_wake.IsSet)
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
