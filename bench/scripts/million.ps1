# Figure 10: sends rows and reads the joined results, without keeping them.
param([string] $Manifest, [uri] $BaseUri, [int] $Rows)
$ErrorActionPreference = 'Stop'
Import-Module $Manifest
$clock = [Diagnostics.Stopwatch]::StartNew()
$spool = $results = $joined = 0
& {
    for ($row = 1; $row -le $Rows; $row++) { $row }
    $script:spool = $clock.Elapsed.TotalSeconds
} | Invoke-Batch -Model instant -SystemPrompt 'Answer with one word.' -Prompt { "Sort ticket number $_ into billing, bug or other." } -BaseUri $BaseUri -ProgressAction Ignore | ForEach-Object {
    $results++
    if ($_.CustomId -eq "request-$($_.InputObject)" -and $_.Text) { $joined++ }
}
@{
    seconds = $clock.Elapsed.TotalSeconds; spoolSeconds = $spool; results = $results; joined = $joined
    peakBytes = [Diagnostics.Process]::GetCurrentProcess().PeakWorkingSet64
} | ConvertTo-Json -Compress
