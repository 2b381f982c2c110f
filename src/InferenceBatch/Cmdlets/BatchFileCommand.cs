using System.Management.Automation;
using InferenceBatch.Binding;

namespace InferenceBatch.Cmdlets;

/// <summary>The base of cmdlets that read existing files, named by -Path or -LiteralPath.</summary>
public abstract class BatchFileCommand : BatchCommand
{
    private protected const string PathSet = "Path";
    private protected const string LiteralPathSet = "LiteralPath";

    /// <summary>Paths of files, with wildcards.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = PathSet, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [PathTransformation(FilesOnly = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>Paths of files, without wildcards.</summary>
    [Parameter(Mandatory = true, ParameterSetName = LiteralPathSet, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ValidateNotNullOrEmpty]
    public string[] LiteralPath { get; set; } = [];

    protected sealed override void ProcessRecord()
    {
        bool literal = ParameterSetName == LiteralPathSet;
        foreach (string path in Paths.Files(literal ? LiteralPath : Path, literal))
        {
            ProcessFile(path);
        }
    }

    /// <summary>Called for each file, with its full path.</summary>
    private protected abstract void ProcessFile(string path);
}
