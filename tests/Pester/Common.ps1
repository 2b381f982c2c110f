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
