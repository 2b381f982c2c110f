namespace InferenceBatch.Pipeline;

/// <summary>Hands each report on at once, on the thread it was made on (<see cref="Progress{T}"/> posts it to another).</summary>
internal sealed class SyncProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}
