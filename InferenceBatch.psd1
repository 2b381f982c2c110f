# Lists have commas, and single names no @( ). Both save Import-Module the compilation of a call site.
@{
    RootModule           = 'bin/InferenceBatch.dll'
    # Written by the build from Directory.Build.props.
    ModuleVersion        = '0.1.0'
    GUID                 = 'b885a2b5-fe94-443e-9ec9-088d2c1ca2a7'
    Author               = 'InferenceBatch contributors'
    CompanyName          = 'InferenceBatch contributors'
    Copyright            = '(c) InferenceBatch contributors. MIT licence.'
    Description          = 'Runs thousands to millions of LLM requests from the pipeline through a Batch API (Inference.net, OpenAI and compatible services), and contains a local batch service, so that everything also works on one machine without an account.'
    PowerShellVersion    = '7.4'
    CompatiblePSEditions = 'Core'

    FormatsToProcess     = 'bin/InferenceBatch.Format.ps1xml'
    TypesToProcess       = 'bin/InferenceBatch.Types.ps1xml'

    FunctionsToExport    = @()
    CmdletsToExport      = @(
        'Connect-BatchService',
        'Disconnect-BatchService',
        'Export-BatchFile',
        'Get-Batch',
        'Get-BatchConnection',
        'Get-BatchFile',
        'Get-BatchResult',
        'Get-BatchServer',
        'Import-BatchFile',
        'Invoke-Batch',
        'Measure-BatchFile',
        'Measure-BatchResult',
        'New-Batch',
        'New-BatchRequest',
        'Receive-BatchWebhook',
        'Remove-BatchFile',
        'Save-BatchFile',
        'Send-BatchFile',
        'Start-BatchServer',
        'Stop-Batch',
        'Stop-BatchServer',
        'Test-BatchFile',
        'Wait-Batch'
    )
    VariablesToExport    = @()
    AliasesToExport      = @()

    PrivateData          = @{
        PSData = @{
            Tags         = 'LLM', 'Batch', 'BatchAPI', 'OpenAI', 'Inference', 'InferenceNet', 'AI', 'JSONL', 'PSEdition_Core', 'Windows', 'Linux', 'MacOS'
            LicenseUri   = 'https://opensource.org/license/mit'
            ReleaseNotes = 'See CHANGELOG.md.'
        }
    }
}
