using System.Text;

namespace InferenceBatch.Binding;

/// <summary>One JSON value that was written already: compact UTF-8. What the JSON parameters hold after binding.</summary>
internal sealed class RawJson(byte[] utf8)
{
    public ReadOnlyMemory<byte> Utf8 { get; } = utf8;

    public override string ToString() => Encoding.UTF8.GetString(Utf8.Span);
}
