using InferenceBatch.Lines;

namespace InferenceBatch.Server.Batches;

/// <summary>Validates an input file and notes where each request stands. Few at a time: it is all processor and disk.</summary>
internal sealed class InputCheck : IDisposable
{
    private const int AtOnce = 2;

    /// <summary>Checked within some milliseconds: too little to wait for large files, or for a thread.</summary>
    private const int SmallFile = 1024 * 1024;

    private readonly SemaphoreSlim _slots = new(AtOnce);
    private readonly SemaphoreSlim _smallSlots = new(AtOnce);

    /// <summary>Checks one file; the spans are those of its good lines.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public async Task<(BatchFileReport Report, RequestSpan[] Spans)> RunAsync(string path, ValidationRules rules, CancellationToken cancellationToken)
    {
        if (InputFile.Info(path).Length <= SmallFile)
        {
            await _smallSlots.WaitAsync(cancellationToken);
            try
            {
                return Run(path, rules, cancellationToken);
            }
            finally
            {
                _smallSlots.Release();
            }
        }

        await _slots.WaitAsync(cancellationToken);
        try
        {
            // A thread of its own: requests to the API must not wait for it in the pool.
            return await Task.Factory.StartNew(
                () => Run(path, rules, cancellationToken), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            _slots.Release();
        }
    }

    public void Dispose()
    {
        _slots.Dispose();
        _smallSlots.Dispose();
    }

    private static (BatchFileReport Report, RequestSpan[] Spans) Run(string path, ValidationRules rules, CancellationToken cancellationToken)
    {
        var spans = new List<RequestSpan>();
        var validator = new FileValidator(rules, spans.Add);
        BatchFileReport report = validator.Validate(path, null, cancellationToken);
        return (report, [.. spans]);
    }
}
