# Figure 9: how long Import-Module takes in a fresh process; with -MakeEmpty, makes the module that it is compared with.
param([string] $Module, [string] $MakeEmpty)
$ErrorActionPreference = 'Stop'
if ($MakeEmpty) {
    Add-Type -OutputAssembly $MakeEmpty -TypeDefinition 'using System.Management.Automation; [Cmdlet("Get", "Nothing")] public sealed class GetNothing : PSCmdlet { }'
    return
}
$clock = [Diagnostics.Stopwatch]::StartNew()
Import-Module $Module
@{ milliseconds = $clock.Elapsed.TotalMilliseconds } | ConvertTo-Json -Compress
