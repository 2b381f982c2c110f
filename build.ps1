#!/usr/bin/env pwsh
#Requires -Version 7.4

<#
.SYNOPSIS
Builds, tests, demonstrates and packages InferenceBatch.

.DESCRIPTION
The repository root is the module folder: after Build, Import-Module ./InferenceBatch.psd1 works from there.
MSBuild does the actual work, so dotnet build InferenceBatch.sln alone gives the same result.

.PARAMETER Task
Build    Builds everything. The module goes to bin/, the local service to bin/server/.
Test     Runs all tests, xunit and Pester. Ends with "N passed, N failed, N skipped".
Demo     Builds the module and the service only. Then sends examples/tickets.csv through the service's echo model and checks the
         results.
Docs     Generates the help in en-US/, which is committed, from docs/en-US. Requires Microsoft.PowerShell.PlatyPS.
         Fails if a page and its cmdlet differ.
Analyze  Runs dotnet format and PSScriptAnalyzer. Fails if either reports anything.
Bench    Measures performance, prints the figures and writes them to bench/results.json.
Package  Creates output/InferenceBatch/VERSION, a zip of it, and the .nupkg for the PowerShell Gallery; and the service as a .NET tool
         (output/InferenceBatch.Server.VERSION.nupkg) and as a self-contained folder for this system.
Clean    Removes all build output.

.PARAMETER Configuration
Release or Debug.

.PARAMETER Long
Also run the long tests: xunit tests with the trait Category=Long, Pester tests with the tag Long, and the other Pester tests again,
on the package.

.EXAMPLE
./build.ps1

.EXAMPLE
./build.ps1 -Task Clean, Test -Long
#>
[CmdletBinding()]
param(
    [Parameter(Position = 0, ValueFromRemainingArguments)]
    [ArgumentCompletions('Build', 'Test', 'Demo', 'Docs', 'Analyze', 'Bench', 'Package', 'Clean')]
    [string[]] $Task = 'Build',

    [ValidateSet('Release', 'Debug')]
    [string] $Configuration = 'Release',

    [switch] $Long
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false
$env:DOTNET_NOLOGO = '1'
$env:DOTNET_CLI_TELEMETRY_OPTOUT = '1'
if ([Console]::IsOutputRedirected) {
    $env:NO_COLOR = '1'
}

$pesterVersions = @{ MinimumVersion = '5.5.0'; MaximumVersion = '5.99.99' }
# PowerShell installed as a .NET tool runs in a dotnet process.
$process = [Environment]::ProcessPath
$powershell = (Split-Path -LeafBase $process) -eq 'dotnet' ? @($process, "$PSHOME/pwsh.dll") : @($process)

function Invoke-Native {
    $command, $arguments = $args
    & $command @arguments
    if ($LASTEXITCODE) {
        throw "$command $($arguments[0]) failed with exit code $LASTEXITCODE."
    }
}

function Invoke-PowerShell {
    $command, $arguments = $powershell + '-NoProfile', '-NonInteractive' + $args
    & $command @arguments
}

function Assert-Module([string] $Name) {
    if (-not (Get-Module -ListAvailable -Name $Name)) {
        throw "This task requires the module $Name. To install it: Install-PSResource $Name"
    }
}

# Tests and the demo must not use your own service and key.
function Clear-ServiceEnvironment {
    Remove-Item -Path Env:INFERENCE_API_KEY, Env:INFERENCE_BASE_URL -ErrorAction Ignore
}

$built = $false
function Build {
    if (-not $built) {
        Write-Host 'Building the solution...'
        Invoke-Native dotnet build InferenceBatch.sln --configuration $Configuration --nologo --verbosity quiet
        $script:built = $true
    }
}

# Builds only what users get: no test or benchmark is restored or compiled.
function Build-Product {
    if (-not $built) {
        Write-Host 'Building the module and the local service (about a minute the first time)...'
        Invoke-Native dotnet build Product.slnf --configuration $Configuration --nologo --verbosity minimal
    }
}

function Test-Project([string] $Project) {
    $trx = "TestResults/$Project.trx"
    $arguments = @(
        '--configuration', $Configuration, '--no-build', '--nologo'
        '--results-directory', 'TestResults', '--logger', "trx;LogFileName=$Project.trx"
        if (-not $Long) {
            '--filter', 'Category!=Long', '--blame-hang-timeout', '10min', '--blame-hang-dump-type', 'none'
        }
    )
    dotnet test "tests/$Project" @arguments | Out-Host
    $exitCode = $LASTEXITCODE

    $total = $executed = $passed = 0
    if (Test-Path -LiteralPath $trx) {
        $counters = ([xml](Get-Content -LiteralPath $trx -Raw)).TestRun.ResultSummary.Counters
        $total, $executed, $passed = [int]$counters.total, [int]$counters.executed, [int]$counters.passed
    }
    $failed = $executed - $passed
    if ($total -eq 0) {
        Write-Host "${Project}: no tests were found."
        $failed = 1
    }
    elseif ($exitCode -and -not $failed) {
        Write-Host "${Project}: no test failed, but the test run ended with exit code $exitCode."
        $failed = 1
    }
    [pscustomobject]@{ Passed = $passed; Failed = $failed; Skipped = $total - $executed }
}

# Returns the path of Pester 5: the installed module, or else the package from NuGet. Returns nothing if neither is available.
function Find-Pester {
    $installed = Get-Module -ListAvailable -Name Pester | Where-Object Version -GE $pesterVersions.MinimumVersion | Where-Object Version -LE $pesterVersions.MaximumVersion
    if ($installed) {
        return $installed[0].Path
    }
    dotnet restore tests/Pester --verbosity quiet | Out-Null
    if (-not $LASTEXITCODE) {
        dotnet msbuild tests/Pester '-getProperty:PesterPath' | Where-Object { Test-Path -LiteralPath $_ }
    }
}

function Test-Cmdlet([string] $Manifest, [switch] $ShortOnly) {
    $written = @(Get-ChildItem -Path tests/Pester -Filter *.Tests.ps1 -Recurse -ErrorAction Ignore | Select-String -Pattern '^\s*It\s').Count
    $pester = Find-Pester
    if ($written -and -not $pester) {
        Write-Host "`nSkipped the $written Pester tests of the cmdlets: Pester 5 is not installed, and NuGet could not provide it."
        Write-Host "To install it: Install-PSResource Pester -Version '[5.5,6.0)'. Then run the same command again."
        return [pscustomobject]@{ Passed = 0; Failed = 0; Skipped = $written }
    }

    # A separate process loads the module that was just built, without the state of this session.
    $counts = Join-Path $PSScriptRoot TestResults/Pester.json
    Remove-Item -LiteralPath $counts -ErrorAction Ignore
    $suite = $Long -and -not $ShortOnly ? @('-Long') : @()
    $env:INFERENCE_BATCH_TEST_MODULE = $Manifest
    try {
        Invoke-PowerShell -File tests/Invoke-Pester.ps1 -Pester $pester -CountsPath $counts @suite | Out-Host
    }
    finally {
        Remove-Item -LiteralPath Env:INFERENCE_BATCH_TEST_MODULE -ErrorAction Ignore
    }
    if (-not (Test-Path -LiteralPath $counts)) {
        Write-Host 'Pester: the test run ended early and did not report its counts.'
        return [pscustomobject]@{ Passed = 0; Failed = 1; Skipped = 0 }
    }
    $result = Get-Content -LiteralPath $counts -Raw | ConvertFrom-Json
    if (-not ($result.Passed + $result.Failed + $result.Skipped)) {
        Write-Host 'Pester: no tests were found.'
        $result.Failed = 1
    }
    $result
}

# Runs the same tests on the package that users install, in a folder whose name has spaces and non-ASCII characters.
function Test-Package {
    Compress-Package
    $place = Join-Path ([System.IO.Path]::GetTempPath()) "InferenceBatch $([guid]::NewGuid().ToString('N')) ä 模块"
    try {
        Copy-Item -LiteralPath output/InferenceBatch -Destination (New-Item -Path $place -ItemType Directory) -Recurse
        Write-Host "`nRunning the Pester tests on the package in '$place'..."
        Test-Cmdlet -Manifest (Get-ChildItem -Path $place/InferenceBatch/*/InferenceBatch.psd1).FullName -ShortOnly
    }
    finally {
        Remove-Item -LiteralPath $place -Recurse -Force -ErrorAction Ignore
    }
}

function Test {
    Build
    Clear-ServiceEnvironment
    Remove-Item -LiteralPath TestResults -Recurse -Force -ErrorAction Ignore
    New-Item -Path TestResults -ItemType Directory | Out-Null
    $results = @(
        Test-Project InferenceBatch.Core.Tests
        Test-Project InferenceBatch.Server.Tests
        Test-Cmdlet
        if ($Long) {
            Test-Package
        }
    )
    $sum = @{}
    foreach ($name in 'Passed', 'Failed', 'Skipped') {
        $sum[$name] = ($results | Measure-Object -Property $name -Sum).Sum
    }
    Write-Host "`n$($sum.Passed) passed, $($sum.Failed) failed, $($sum.Skipped) skipped"
    if ($sum.Failed) {
        exit 1
    }
}

function Demo {
    Build-Product
    Clear-ServiceEnvironment
    Write-Host 'Running examples/Demo.ps1...'
    Invoke-PowerShell -File examples/Demo.ps1
    if ($LASTEXITCODE) {
        exit $LASTEXITCODE
    }
}

function Docs {
    Build
    Assert-Module Microsoft.PowerShell.PlatyPS
    # A separate process loads the module that was just built.
    Invoke-PowerShell -File docs/Export-Help.ps1 -Destination en-US
    if ($LASTEXITCODE) {
        exit $LASTEXITCODE
    }
}

function Analyze {
    Build
    Invoke-Native dotnet format InferenceBatch.sln --verify-no-changes
    Assert-Module PSScriptAnalyzer
    $scripts = git ls-files '*.ps1' '*.psd1' '*.psm1'
    $findings = @($scripts | ForEach-Object { Invoke-ScriptAnalyzer -Path $_ -Settings ./PSScriptAnalyzerSettings.psd1 })
    $findings | Format-Table -Property Severity, RuleName, ScriptName, Line, Message -Wrap | Out-Host
    if ($findings) {
        throw "PSScriptAnalyzer reported $($findings.Count) findings."
    }
    Write-Host "PSScriptAnalyzer: $(@($scripts).Count) files, no findings."
}

function Bench {
    Build
    Invoke-Native dotnet run --project bench/InferenceBatch.Bench --configuration Release '--' --results bench/results.json --powershell "$powershell"
}

function Compress-Package {
    Remove-Item -LiteralPath output -Recurse -Force -ErrorAction Ignore
    Invoke-Native dotnet msbuild src/InferenceBatch '-t:PackageModule' "-p:Configuration=$Configuration" '-nologo' '-v:minimal'
}

function Package {
    Build
    if (Get-Module -ListAvailable -Name Microsoft.PowerShell.PlatyPS) {
        Docs
    }
    else {
        Write-Host 'Microsoft.PowerShell.PlatyPS is not installed, so the package contains the committed help in en-US.'
    }
    Compress-Package
    Invoke-Native dotnet msbuild src/InferenceBatch.Server '-t:PackageServer' "-p:Configuration=$Configuration" '-nologo' '-v:minimal'
}

function Clean {
    Get-Item -Path bin, output, TestResults, src/*/bin, src/*/obj, tests/*/bin, tests/*/obj, bench/*/bin, bench/*/obj -ErrorAction Ignore | Remove-Item -Recurse -Force
}

$tasks = $Task -split ',' | ForEach-Object Trim
$known = 'Build', 'Test', 'Demo', 'Docs', 'Analyze', 'Bench', 'Package', 'Clean'
foreach ($name in $tasks) {
    if ($name -notin $known) {
        throw "Unknown task '$name'. The tasks are $($known -join ', ')."
    }
}

Push-Location -LiteralPath $PSScriptRoot
try {
    foreach ($name in $tasks) {
        & $name
    }
}
finally {
    Pop-Location
}
