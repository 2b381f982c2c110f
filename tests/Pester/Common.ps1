# What every test file begins with: the module as built, and a few words to say things with.

Import-Module -Name (Join-Path $PSScriptRoot ../../InferenceBatch.psd1)

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
