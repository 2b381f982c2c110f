using InferenceBatch.Lines;

namespace InferenceBatch.Server.Batches;

/// <summary>Validates input files and finds the position of each request. Only a few at a time, because it uses processor and disk fully.</summary>
internal sealed class InputCheck : IDisposable
{
    private const int MaxConcurrent = 2;

    /// <summary>Files of this size are validated within milliseconds, so they do not wait for large files or for a thread.</summary>
    private const int SmallFileBytes = 1024 * 1024;

    private readonly SemaphoreSlim _slots = new(MaxConcurrent);
    private readonly SemaphoreSlim _smallSlots = new(MaxConcurrent);

    /// <summary>Validates a file. Returns the spans of its valid lines too.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public async Task<(BatchFileReport Report, RequestSpan[] Spans)> RunAsync(string path, ValidationRules rules, CancellationToken cancellationToken)
    {
        if (InputFile.Info(path).Length <= SmallFileBytes)
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
            // In a separate thread, so that requests to the API do not wait for a thread of the pool.
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
