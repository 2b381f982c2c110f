using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// Rejects requests and results as paths, and says how to write them to a file. PowerShell would convert them to text, and report a file of
/// that name as not found.
/// </summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class PathTransformationAttribute : ArgumentTransformationAttribute
{
    private const string Saved = "Deserialized.";

    /// <summary>Whether the command does not accept request objects in another parameter either.</summary>
    public bool FilesOnly { get; init; }

    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        // A value that is not a PSObject did not come from the pipeline.
        string type = inputData is PSObject item ? item.TypeNames[0] : "";
        bool isSaved = type.StartsWith(Saved, StringComparison.Ordinal);
        bool isRequest = type.EndsWith(typeof(BatchRequest).FullName!, StringComparison.Ordinal);
        bool isResult = type.EndsWith(typeof(BatchResult).FullName!, StringComparison.Ordinal);
        return !(isRequest || isResult) || !(isSaved || FilesOnly) ? inputData
            : throw new ArgumentTransformationMetadataException(Messages.Text(
                isSaved ? "Argument.SavedObject" : "Argument.RequestAsPath", isRequest ? nameof(BatchRequest) : nameof(BatchResult)));
    }
}
