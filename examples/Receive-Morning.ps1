#Requires -Version 7.4

<#
.SYNOPSIS
Collects in the morning the answers to what Submit-Evening.ps1 sent: the rows of the evening with their answers, as a CSV.

.DESCRIPTION
Requests the evening's batches once and does not wait for them. If a batch has not ended, the script prints when to run it again.
partial.csv contains the answers so far if the service provides answers of a running batch. Collecting costs nothing, and you can
repeat it as often as you like.

Exit codes:
0    every row was answered
1    the batches have ended, but some rows have no answer (see the CSV)
2    the answers could not be collected
3    not finished yet

.PARAMETER WorkPath
The folder in which Submit-Evening.ps1 created the evening's folder.

.PARAMETER Date
The name of the evening. A start before noon belongs to the evening before.

.PARAMETER Destination
The answers, as a CSV. The default is answers.csv in the evening's folder. The file appears when it is complete.

.PARAMETER Module
The module: its manifest in the clone, or InferenceBatch if it is installed.

.EXAMPLE
./examples/Receive-Morning.ps1

.EXAMPLE
./examples/Receive-Morning.ps1 -WorkPath /data/evenings -Date 2026-11-25 -Destination /data/answers.csv
#>
[CmdletBinding()]
param(
    [string] $WorkPath = (Join-Path $PSScriptRoot work evening),
    [string] $Date = [DateTime]::Now.AddHours(-12).ToString('yyyy-MM-dd', [cultureinfo]::InvariantCulture),
    [string] $Destination,
    [string] $Module = (Join-Path $PSScriptRoot .. InferenceBatch.psd1)
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# Estimates the end from the progress so far; an hour if nothing is answered yet; at the latest when the batch expires.
function Get-NextLook($Batches) {
    $last = $Batches | ForEach-Object {
        $answered = $_.RequestCounts.Completed + $_.RequestCounts.Failed
        $hours = $answered ? $_.Elapsed.TotalHours * ($_.RequestCounts.Total - $answered) / $answered : 1
        $next = [DateTime]::Now.AddHours($hours)
        $end = $_.ExpiresAt.LocalDateTime
        $end -and $end -lt $next ? $end : $next
    } | Sort-Object | Select-Object -Last 1
    $last.AddMinutes(1).ToString('yyyy-MM-dd HH:mm', [cultureinfo]::InvariantCulture)
}

# Writes the evening's rows with their answers, in the order in which they were sent.
function Export-Answer([string] $Path) {
    # A table that distinguishes 'a' and 'A'.
    $rows = ConvertFrom-Json '{}' -AsHashtable
    Import-Csv -LiteralPath (Join-Path $folder rows.csv) | ForEach-Object { $rows[$_.($state.IdColumn)] = $_ }
    $script:rowCount = $rows.Count
    $requests = $state.Parts.File | ForEach-Object { [WildcardPattern]::Escape((Join-Path $folder $_)) }
    Get-BatchResult -Batch $batches -RequestPath $requests -Ordered -WarningAction SilentlyContinue -ErrorAction SilentlyContinue -ErrorVariable problems |
        ForEach-Object {
            $result = $_
            $script:succeeded += [int]($result.Status -eq 'Succeeded')
            $rows[$result.CustomId] | Select-Object -Property *,
            @{ Name = 'AnswerStatus'; Expression = { $result.Status } },
            @{ Name = 'Answer'; Expression = { $result.Text } },
            @{ Name = 'AnswerError'; Expression = { $result.Error } }
        } | Export-Csv -LiteralPath "$Path.tmp"
    # A batch that failed or is running does not stop the others. Answers that could not be downloaded do.
    $lost = @($problems | Where-Object FullyQualifiedErrorId -NotMatch '^(BatchFailed|BatchNotFinished),')
    if ($lost) {
        throw $lost[0]
    }
    $problems | ForEach-Object { Write-Host "Problem: $_" }
    Move-Item -LiteralPath "$Path.tmp" -Destination $Path -Force
}

$rowCount = $succeeded = 0
try {
    $folder = Join-Path $WorkPath $Date
    if (-not (Test-Path -LiteralPath (Join-Path $folder sent.json))) {
        throw "Nothing was sent in the evening of $Date (looked in '$folder')."
    }
    $state = Get-Content -LiteralPath (Join-Path $folder sent.json) -Raw | ConvertFrom-Json
    if ($state.Parts.BatchId -contains $null) {
        throw "The evening of $Date was not sent completely. Run Submit-Evening.ps1 -Date $Date again."
    }

    Import-Module -Name $Module
    Connect-BatchService -BaseUri $state.BaseUri
    $batches = @(Get-Batch -Id $state.Parts.BatchId)
    $running = @($batches | Where-Object -Not IsFinished)
    if ($running) {
        Export-Answer (Join-Path $folder partial.csv)
        Write-Host "$($running.Count) of $($batches.Count) batches have not ended; $succeeded of $rowCount rows are answered so far (see partial.csv). Run this script again at $(Get-NextLook $running)."
        $exitCode = 3
    }
    else {
        if (-not $Destination) { $Destination = Join-Path $folder answers.csv }
        Export-Answer $Destination
        Write-Host "$succeeded of $rowCount rows are answered: '$Destination'."
        $exitCode = [int]($succeeded -lt $rowCount)
    }
}
catch {
    Write-Host "Could not collect: $_"
    $exitCode = 2
}
exit $exitCode
