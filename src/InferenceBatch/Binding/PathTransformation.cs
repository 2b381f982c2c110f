using System.Management.Automation;
using InferenceBatch.Model;

namespace InferenceBatch.Binding;

/// <summary>
/// A path is text, and PowerShell makes text of anything: a request would become the name of a file that is not there.
/// Says instead how requests and results come into one.
/// </summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
internal sealed class PathTransformationAttribute : ArgumentTransformationAttribute
{
    private const string Saved = "Deserialized.";

    /// <summary>Whether the command takes no requests as they are either.</summary>
    public bool FilesOnly { get; init; }

    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData)
    {
        // Whatever is no PSObject is what a script gave by hand.
        string type = inputData is PSObject item ? item.TypeNames[0] : "";
        bool isSaved = type.StartsWith(Saved, StringComparison.Ordinal);
        bool isRequest = type.EndsWith(typeof(BatchRequest).FullName!, StringComparison.Ordinal);
        bool isResult = type.EndsWith(typeof(BatchResult).FullName!, StringComparison.Ordinal);
        return !(isRequest || isResult) || !(isSaved || FilesOnly) ? inputData
            : throw new ArgumentTransformationMetadataException(Messages.Text(
                isSaved ? "Argument.SavedObject" : "Argument.RequestAsPath", isRequest ? nameof(BatchRequest) : nameof(BatchResult)));
    }
}
