#Requires -Version 7.4

<#
.SYNOPSIS
Runs the Pester tests in this process, with the module that was built, or the one that INFERENCE_BATCH_TEST_MODULE names.

.PARAMETER Path
The test files or folders to run. The default is all.

.PARAMETER Pester
The path of Pester 5. The default is the installed module.

.PARAMETER CountsPath
The JSON file for the numbers of passed, failed and skipped tests.

.PARAMETER Long
Also run the tests with the tag Long.
#>
[CmdletBinding()]
param(
    [string[]] $Path = (Join-Path $PSScriptRoot Pester),

    [string] $Pester,

    [string] $CountsPath,

    [switch] $Long
)

$ErrorActionPreference = 'Stop'
if (-not (Get-ChildItem -Path $Path -Filter *.Tests.ps1 -Recurse)) {
    throw "No tests were found in $Path."
}

if ($Pester) {
    Import-Module -Name $Pester
}
else {
    Import-Module -Name Pester -MinimumVersion 5.5.0 -MaximumVersion 5.99.99
}

$configuration = New-PesterConfiguration
$configuration.Run.Path = $Path
$configuration.Run.PassThru = $true
$configuration.Output.Verbosity = 'Normal'
if ($env:NO_COLOR) {
    $configuration.Output.RenderMode = 'Plaintext'
}
if (-not $Long) {
    $configuration.Filter.ExcludeTag = 'Long'
}

$run = Invoke-Pester -Configuration $configuration
$counts = [ordered]@{
    Passed  = $run.PassedCount
    # If a file or block fails outside of a test, its tests do not run, so this counts as a failure.
    Failed  = $run.FailedCount + $run.FailedBlocksCount + $run.FailedContainersCount
    Skipped = $run.SkippedCount + $run.InconclusiveCount
}
if ($CountsPath) {
    ConvertTo-Json -InputObject $counts | Set-Content -LiteralPath $CountsPath
}
exit [int]($counts.Failed -gt 0)
