# What every test file begins with: the module as built, and a few words to say things with.

# The module built at the repository's root, or another that INFERENCE_BATCH_TEST_MODULE names, such as a package's.
$script:ModulePath = $env:INFERENCE_BATCH_TEST_MODULE ? $env:INFERENCE_BATCH_TEST_MODULE : (Join-Path $PSScriptRoot .. .. InferenceBatch.psd1 | Resolve-Path).Path
$script:ModuleFolder = Split-Path $ModulePath
Import-Module -Name $ModulePath
# Core is loaded when a command first wants it; a test may name its types before.
$null = (Get-Command Get-Batch -Module InferenceBatch).Parameters

# The command that runs this PowerShell: as a .NET tool it runs in dotnet's own process.
$script:PowerShell = (Split-Path -LeafBase ([Environment]::ProcessPath)) -eq 'dotnet' ? @([Environment]::ProcessPath, "$PSHOME/pwsh.dll") : @([Environment]::ProcessPath)

# Runs another PowerShell to its end.
function Invoke-PowerShell {
    $file, $arguments = $PowerShell + '-NoProfile', '-NonInteractive' + $args
    & $file @arguments
}

# The id of an error as the module documents it, without the class that PowerShell appends.
function Get-ErrorId {
    param([System.Management.Automation.ErrorRecord] $ErrorRecord)

    $ErrorRecord.FullyQualifiedErrorId.Split(',')[0]
}

# Runs a terminating command and gives its error.
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

# What to put before a command whose SIGINT must not be ignored: a child inherits that, as under nohup or some CI runners.
function Get-InterruptiblePrefix {
    $isIgnored = $IsLinux -and ([Convert]::ToUInt64(((Get-Content "/proc/$PID/status") -match '^SigIgn:' -replace '\D*:\s*')[0], 16) -band 2)
    if ($isIgnored) { '/usr/bin/env', '--default-signal=INT' }
}
