using InferenceBatch.Model;

namespace InferenceBatch.Cmdlets;

/// <summary>Calls the action on the reporting thread. <see cref="Progress{T}"/> would post it to another thread.</summary>
internal sealed class ByteProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}

/// <summary>Describes the progress of a transfer.</summary>
internal static class ByteProgress
{
    private const double MB = 1024 * 1024;

    /// <summary>Returns a text such as <c>3.1 of 190.7 MB</c>.</summary>
    public static string Describe(long done, long? total) => total is { } all
        ? Messages.Text("Progress.BytesOf", done / MB, all / MB) : Messages.Text("Progress.Bytes", done / MB);
}
