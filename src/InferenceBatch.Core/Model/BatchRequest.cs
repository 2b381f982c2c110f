using System.Text;

namespace InferenceBatch.Model;

/// <summary>
/// One request of a batch: one line of its input file. The body is kept as the UTF-8 JSON that was built or read.
/// </summary>
public sealed class BatchRequest
{
    private string? _body;

    /// <summary>The ID of the request, unique in its file. The result has the same ID.</summary>
    public required string CustomId { get; init; }

    /// <summary>The HTTP method. The Batch API accepts only POST.</summary>
    public string Method { get; init; } = "POST";

    /// <summary>The endpoint, such as <c>/v1/chat/completions</c>; empty if the line has none.</summary>
    public required string Url { get; init; }

    /// <summary>The body as UTF-8 JSON: one object, no line breaks.</summary>
    public required ReadOnlyMemory<byte> BodyUtf8 { get; init; }

    /// <summary>The body as text.</summary>
    public string Body => _body ??= Encoding.UTF8.GetString(BodyUtf8.Span);

    /// <summary>The object from which the request was built; null if the request was read from a file.</summary>
    public object? InputObject { get; init; }

    public override string ToString() => CustomId;
}
