# Figure 1: builds 50,000 request lines from pipeline objects.
param(
    [ValidateSet('Module', 'Script')] [string] $Way,
    [string] $Manifest,
    [string] $TicketPath,
    [string] $OutputPath,
    [string] $Model,
    [string] $SystemPrompt
)
$ErrorActionPreference = 'Stop'
Import-Module $Manifest
$tickets = Import-Csv -LiteralPath $TicketPath
$clock = [Diagnostics.Stopwatch]::StartNew()
if ($Way -eq 'Module') {
    $null = $tickets | New-BatchRequest -Model $Model -SystemPrompt $SystemPrompt -MaxTokens 200 -Prompt { $_.Body } -CustomId { $_.Id } |
        Export-BatchFile -Path $OutputPath -Force
}
else {
    $tickets | ForEach-Object {
        @{
            custom_id = $_.Id
            method    = 'POST'
            url       = '/v1/chat/completions'
            body      = @{
                model      = $Model
                messages   = @(
                    @{ role = 'system'; content = $SystemPrompt }
                    @{ role = 'user'; content = $_.Body }
                )
                max_tokens = 200
            }
        } | ConvertTo-Json -Compress -Depth 5
    } | Set-Content -LiteralPath $OutputPath
}
$seconds = $clock.Elapsed.TotalSeconds
@{ seconds = $seconds; peakBytes = [Diagnostics.Process]::GetCurrentProcess().PeakWorkingSet64 } | ConvertTo-Json -Compress
