#Requires -Version 7.4

<#
.SYNOPSIS
The whole job on one machine: sends support tickets from a CSV through the local batch service and matches the answers to the tickets.

.DESCRIPTION
Starts the local service with its echo model, which answers with the prompt, on a free port and with a temporary folder. Every
ticket must have exactly one answer, with exactly the text of its prompt; otherwise the exit code is 1.

.PARAMETER Path
The tickets: a CSV with the columns Id, Customer, Language, Subject and Body.

.EXAMPLE
./examples/Demo.ps1
#>
[CmdletBinding()]
param(
    [string] $Path = (Join-Path $PSScriptRoot tickets.csv)
)

$ErrorActionPreference = 'Stop'
Import-Module (Join-Path $PSScriptRoot .. InferenceBatch.psd1)

$tickets = @(Import-Csv -LiteralPath $Path)
$data = Join-Path (Convert-Path Temp:/) "inference-batch-demo-$(New-Guid)"
$server = Start-BatchServer -Upstream echo -DataPath $data
try {
    Write-Host "$($tickets.Count) tickets, service at $($server.Uri)"
    $requests = @($tickets | New-BatchRequest -Model echo -CustomId { $_.Id } -Prompt { "Subject: $($_.Subject)`n`n$($_.Body)" })
    $results = @($requests | Send-BatchFile | New-Batch | Wait-Batch | Get-BatchResult -Request $requests -Ordered)
}
finally {
    if ($server) { $server | Stop-BatchServer }
    Remove-Item -LiteralPath $data -Recurse -Force -ErrorAction Ignore
}

$answers = @{}
foreach ($result in $results) {
    $answers[$result.CustomId] += @($result)
}

$differences = 0
foreach ($ticket in $tickets) {
    $own = @($answers[$ticket.Id] | Where-Object { $_ })
    $problem = if ($own.Count -ne 1) { "$($own.Count) answers" }
    elseif ($own[0].Status -ne 'Succeeded') { "$($own[0].Status): $($own[0].Error)" }
    elseif ($own[0].InputObject.Id -cne $ticket.Id) { 'matched to another ticket' }
    elseif ($own[0].Text -cne "Subject: $($ticket.Subject)`n`n$($ticket.Body)") { 'the text differs from the prompt' }

    $differences += [int][bool]$problem
    # At most 90 complete characters with their marks.
    $line = ($problem ?? $own[0].Text) -replace '\s+', ' ' -replace '^((?>(?:\p{Cs}{2}|.)\p{M}*){89}).{2,}$', '$1…'
    Write-Host "$($ticket.Id)  $($ticket.Language)  $($ticket.Customer): $line"
}

$unknown = @($results | Where-Object CustomId -CNotIn $tickets.Id)
foreach ($result in $unknown) {
    Write-Host "$($result.CustomId): an answer without a ticket"
}
$differences += $unknown.Count
$tokens = ($results | Measure-Object -Property TotalTokens -Sum).Sum
Write-Host "`n$($tickets.Count) tickets sent, $($results.Count) answers, $tokens tokens, $differences differences."
exit [int]($tickets.Count -eq 0 -or $differences -gt 0)
