# Loaded by every test file: imports the module as built, and defines helper functions.

# The module built at the repository's root, or another that INFERENCE_BATCH_TEST_MODULE names, such as a package's.
$script:ModulePath = $env:INFERENCE_BATCH_TEST_MODULE ? $env:INFERENCE_BATCH_TEST_MODULE : (Join-Path $PSScriptRoot .. .. InferenceBatch.psd1 | Resolve-Path).Path
$script:ModuleFolder = Split-Path $ModulePath
Import-Module -Name $ModulePath
# Core is loaded when a command first needs it, but a test may use its types before.
$null = (Get-Command Get-Batch -Module InferenceBatch).Parameters

# The command that runs this PowerShell: as a .NET tool it runs in dotnet's own process.
$script:PowerShell = (Split-Path -LeafBase ([Environment]::ProcessPath)) -eq 'dotnet' ? @([Environment]::ProcessPath, "$PSHOME/pwsh.dll") : @([Environment]::ProcessPath)

# Runs another PowerShell to its end.
function Invoke-PowerShell {
    $file, $arguments = $PowerShell + '-NoProfile', '-NonInteractive' + $args
    & $file @arguments
}

# Returns the documented ID of an error, without the class name that PowerShell appends.
function Get-ErrorId {
    param([System.Management.Automation.ErrorRecord] $ErrorRecord)

    $ErrorRecord.FullyQualifiedErrorId.Split(',')[0]
}

# Runs a command and returns its terminating error.
function Get-Failure {
    param([scriptblock] $Script)

    try {
        $null = & $Script
    }
    catch {
        return $_
    }

    throw "Nothing failed: $Script"
}

# Returns a prefix for a command that must not ignore SIGINT. A child process inherits an ignored SIGINT, such as from nohup or some CI runners.
function Get-InterruptiblePrefix {
    $isIgnored = $IsLinux -and ([Convert]::ToUInt64(((Get-Content "/proc/$PID/status") -match '^SigIgn:' -replace '\D*:\s*')[0], 16) -band 2)
    if ($isIgnored) { '/usr/bin/env', '--default-signal=INT' }
}
