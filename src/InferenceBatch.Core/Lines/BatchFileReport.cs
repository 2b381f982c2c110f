using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>The result of a validation of a batch file.</summary>
public sealed class BatchFileReport
{
    /// <summary>The file; null if a stream was checked.</summary>
    public string? Path { get; init; }

    /// <summary>Whether the file has no errors, so that the service will accept it.</summary>
    public bool IsValid => ErrorCount == 0;

    public int RequestCount { get; init; }

    public long Bytes { get; init; }

    /// <summary>The required endpoint; if none is required, that of the first valid line.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The models of the requests in order of appearance, 100 at most.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>The issues in the order of their lines; <see cref="ValidationRules.MaxIssues"/> limits their number.</summary>
    public IReadOnlyList<LineIssue> Issues { get; init; } = [];

    /// <summary>The number of errors, including those that <see cref="Issues"/> does not list.</summary>
    public int ErrorCount { get; init; }

    public override string ToString() =>
        PluralFormat.Invariant($"{Path}: {(IsValid ? "valid" : PluralFormat.Invariant($"{ErrorCount} {ErrorCount:error|errors}"))}, {RequestCount} {RequestCount:request|requests}, {Bytes} {Bytes:byte|bytes}");
}
