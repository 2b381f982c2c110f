# Figure 9: measures Import-Module in a new process. With -MakeEmpty, creates the module for comparison.
param([string] $Module, [string] $MakeEmpty)
$ErrorActionPreference = 'Stop'
if ($MakeEmpty) {
    Add-Type -OutputAssembly $MakeEmpty -TypeDefinition 'using System.Management.Automation; [Cmdlet("Get", "Nothing")] public sealed class GetNothing : PSCmdlet { }'
    return
}
$clock = [Diagnostics.Stopwatch]::StartNew()
Import-Module $Module
@{ milliseconds = $clock.Elapsed.TotalMilliseconds } | ConvertTo-Json -Compress
