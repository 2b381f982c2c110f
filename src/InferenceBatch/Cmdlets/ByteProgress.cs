using InferenceBatch.Model;

namespace InferenceBatch.Cmdlets;

/// <summary>Hands what is reported on at once, on the reporting thread; the framework's own hops to another.</summary>
internal sealed class ByteProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}

/// <summary>How bytes moved are told.</summary>
internal static class ByteProgress
{
    private const double MB = 1024 * 1024;

    /// <summary>Such as <c>3.1 of 190.7 MB</c>.</summary>
    public static string Describe(long done, long? total) => total is { } all
        ? Messages.Text("Progress.BytesOf", done / MB, all / MB) : Messages.Text("Progress.Bytes", done / MB);
}
