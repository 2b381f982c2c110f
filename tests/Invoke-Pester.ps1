#Requires -Version 7.4

<#
.SYNOPSIS
Runs tests/Pester in this process, against the module as built, or the one that INFERENCE_BATCH_TEST_MODULE names.

.PARAMETER Path
The tests to run: all, unless files are named.

.PARAMETER Pester
Where Pester 5 is; the one that is installed when not given.

.PARAMETER CountsPath
Where to write how many passed, failed and were skipped, as JSON.

.PARAMETER Long
Runs the tests with the tag Long too.
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
    throw "There are no tests in $Path."
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
    # A file or block that broke outside of a test hid tests: that is a failure too.
    Failed  = $run.FailedCount + $run.FailedBlocksCount + $run.FailedContainersCount
    Skipped = $run.SkippedCount + $run.InconclusiveCount
}
if ($CountsPath) {
    ConvertTo-Json -InputObject $counts | Set-Content -LiteralPath $CountsPath
}
exit [int]($counts.Failed -gt 0)
