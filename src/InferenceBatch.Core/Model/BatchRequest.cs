using System.Text;

namespace InferenceBatch.Model;

/// <summary>
/// One request of a batch: one line of its input file. The body stays the UTF-8 JSON it was built or read as.
/// </summary>
public sealed class BatchRequest
{
    private string? _body;

    /// <summary>Names the request within its file; the answer comes back under it.</summary>
    public required string CustomId { get; init; }

    /// <summary>The HTTP method; the Batch API takes POST only.</summary>
    public string Method { get; init; } = "POST";

    /// <summary>The endpoint, such as <c>/v1/chat/completions</c>; empty for a line that names none.</summary>
    public required string Url { get; init; }

    /// <summary>The body as UTF-8 JSON: one object, no line breaks.</summary>
    public required ReadOnlyMemory<byte> BodyUtf8 { get; init; }

    /// <summary>The body as text.</summary>
    public string Body => _body ??= Encoding.UTF8.GetString(BodyUtf8.Span);

    /// <summary>The object the request was made from; null for one that was read from a file.</summary>
    public object? InputObject { get; init; }

    public override string ToString() => CustomId;
}
