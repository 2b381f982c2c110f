using InferenceBatch.Model;

namespace InferenceBatch.Lines;

/// <summary>What a validation found in a batch file.</summary>
public sealed class BatchFileReport
{
    /// <summary>The file; null when a stream was checked.</summary>
    public string? Path { get; init; }

    /// <summary>Whether the service will take the file: no issue is an error.</summary>
    public bool IsValid => ErrorCount == 0;

    public int RequestCount { get; init; }

    public long Bytes { get; init; }

    /// <summary>The endpoint asked for, else that of the first good line.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The models the lines name, in order of appearance; the first 100.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>What was found, by line; bounded by <see cref="ValidationRules.MaxIssues"/>.</summary>
    public IReadOnlyList<LineIssue> Issues { get; init; } = [];

    /// <summary>Errors found, those left out of <see cref="Issues"/> included.</summary>
    public int ErrorCount { get; init; }

    public override string ToString() =>
        PluralFormat.Invariant($"{Path}: {(IsValid ? "valid" : PluralFormat.Invariant($"{ErrorCount} {ErrorCount:error|errors}"))}, {RequestCount} {RequestCount:request|requests}, {Bytes} {Bytes:byte|bytes}");
}
