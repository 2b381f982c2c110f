#Requires -Version 7.4

<#
.SYNOPSIS
A nightly run, for cron, a systemd timer or Task Scheduler: rows of a CSV in, the same rows with their answers out.

.DESCRIPTION
Everything of a night stands in one folder, named by the date: the log, the run's checkpoint and the answers. The
checkpoint keeps what was sent and answered: however the script ended, the next start goes on there and pays for nothing
twice. A second start while the first is at work ends at once (CheckpointInUse), and a start after the end gives the same
answers again at no cost.

Exit codes:
0    every row was answered
1    the run has ended, and some rows failed, as the answers say, or were left out (no prompt, a name that stood before), as the log says
2    the run could not go on; the checkpoint keeps it, and the next start goes on

The service's key is read from the environment (INFERENCE_API_KEY, or the provider's own such as OPENAI_API_KEY) and stands
in no file. With the SecretManagement module, put this before the run: $env:INFERENCE_API_KEY = Get-Secret Inference -AsPlainText

Prompts and answers stay in the night's folder as plain text: delete old folders when their answers are safe.

For mail in place of a webhook, put one of these into Send-Notice:
    $Text | mail -s 'Nightly batch' ops@example.org
    [Net.Mail.SmtpClient]::new('smtp.example.org').Send('batch@example.org', 'ops@example.org', 'Nightly batch', $Text)

.PARAMETER Path
The rows: a CSV, with a column that names each row and one that holds its prompt.

.PARAMETER WorkPath
Where the folder of each night is made.

.PARAMETER Date
The night's name. What starts before noon belongs to the evening before, so that a run that is started at 23:00 and again at
1:00 is one run.

.PARAMETER Destination
The answers, as a CSV; answers.csv in the night's folder when not given. It appears when it is complete.

.PARAMETER IdColumn
The column that names a row. No name may stand twice.

.PARAMETER PromptColumn
The column that is the prompt.

.PARAMETER SystemPrompt
What the model is told before each prompt.

.PARAMETER Model
The model, as the service names it.

.PARAMETER MaxTokens
The longest answer, in tokens: it bounds what a row can cost.

.PARAMETER BaseUri
The service. INFERENCE_BASE_URL when not given; without either, a local service with a model that echoes the prompt, at no cost.

.PARAMETER TimeoutHours
How long a batch is waited for. After that the exit code is 2, and the next start goes on waiting.

.PARAMETER NotifyUri
A chat's incoming webhook, which takes {"text": "..."}: it is told when the exit code is not 0. NIGHTLY_NOTIFY_URI when not given.

.PARAMETER Module
The module: that of the clone, or InferenceBatch where it is installed.

.EXAMPLE
./examples/Nightly.ps1

.EXAMPLE
pwsh -NoProfile -NonInteractive -File /opt/batch/Nightly.ps1 -Module InferenceBatch -Path /data/rows.csv -WorkPath /data/nights -BaseUri https://api.inference.net/v1 -Model meta-llama/llama-3.1-8b-instruct/fp-16
#>
[CmdletBinding()]
param(
    [string] $Path = (Join-Path $PSScriptRoot tickets.csv),
    [string] $WorkPath = (Join-Path $PSScriptRoot work nightly),
    [string] $Date = [DateTime]::Now.AddHours(-12).ToString('yyyy-MM-dd', [cultureinfo]::InvariantCulture),
    [string] $Destination,
    [string] $IdColumn = 'Id',
    [string] $PromptColumn = 'Body',
    [string] $SystemPrompt = 'Summarise this ticket in one sentence.',
    [string] $Model = 'echo',
    [int] $MaxTokens = 300,
    [string] $BaseUri = $env:INFERENCE_BASE_URL,
    [double] $TimeoutHours = 26,
    [string] $NotifyUri = $env:NIGHTLY_NOTIFY_URI,
    [string] $Module = (Join-Path $PSScriptRoot .. InferenceBatch.psd1)
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$folder = $server = $null

function Add-LogLine([string] $Text) {
    $line = "$([DateTime]::UtcNow.ToString('u')) $Text"
    Write-Host $line
    if ($folder) {
        Add-Content -LiteralPath (Join-Path $folder nightly.log) -Value $line
    }
}

function Send-Notice([string] $Text) {
    if ($NotifyUri) {
        try {
            $body = ConvertTo-Json @{ text = $Text } -Compress
            $null = Invoke-RestMethod -Uri $NotifyUri -Method Post -ContentType 'application/json; charset=utf-8' -Body $body -TimeoutSec 30
        }
        catch {
            Add-LogLine "The notice could not be sent: $_"
        }
    }
}

try {
    $folder = (New-Item -Path (Join-Path $WorkPath $Date) -ItemType Directory -Force).FullName
    Add-LogLine "Begin: the rows of '$Path'."
    Import-Module -Name $Module
    if ($BaseUri) { Connect-BatchService -BaseUri $BaseUri }
    elseif (Get-BatchServer) { Connect-BatchService Local }
    else { $server = Start-BatchServer }

    if (-not $Destination) { $Destination = Join-Path $folder answers.csv }
    $run = @{
        Model          = $Model
        CustomId       = { $_.$IdColumn }
        Prompt         = { $_.$PromptColumn }
        SystemPrompt   = $SystemPrompt
        MaxTokens      = $MaxTokens
        CheckpointPath = Join-Path $folder checkpoint
        Timeout        = $TimeoutHours * 3600
        Ordered        = $true
    }
    # A row that cannot be sent is no reason to leave the others: it is written down, and counts in the end.
    Import-Csv -LiteralPath $Path |
        Invoke-Batch @run -ErrorAction SilentlyContinue -ErrorVariable problems -InformationVariable said |
        ForEach-Object {
            $result = $_
            $result.InputObject | Select-Object -Property *,
            @{ Name = 'AnswerStatus'; Expression = { $result.Status } },
            @{ Name = 'Answer'; Expression = { $result.Text } },
            @{ Name = 'AnswerError'; Expression = { $result.Error } }
        } | Export-Csv -LiteralPath "$Destination.tmp"

    $problems | ForEach-Object { Add-LogLine "Problem: $_" }
    $summary = ($said | Where-Object Tags -Contains BatchRunSummary).MessageData
    if (-not $summary.Requests) {
        Add-LogLine 'No row was there to be sent.'
        $exitCode = [int]($problems.Count -gt 0)
    }
    else {
        $results = $summary.Results
        Add-LogLine "$($summary.Rows) rows: $($results.Succeeded) succeeded, $($results.Failed) failed, $($results.Expired) expired, $($results.Missing) missing, $($summary.LeftOut) left out, $($summary.Unanswered) still open."
        $results.Failures | ForEach-Object { Add-LogLine "  $($_.Count) with $($_.Code): $($_.Message)" }
        Add-LogLine "$($summary.Requests) requests in $($summary.Rounds) rounds, $($results.TotalTokens ?? 0) tokens, cost $($results.Cost ?? 'not known'), batches $($summary.BatchIds -join ', ')."
        $left = $summary.Unanswered + ($results.Failures | Where-Object Code -EQ not_sent | Measure-Object -Property Count -Sum).Sum
        if ($left) {
            throw "$left of $($summary.Rows) rows have no answer yet. $($problems | Select-Object -First 1)"
        }
        Move-Item -LiteralPath "$Destination.tmp" -Destination $Destination -Force
        Add-LogLine "The answers are in '$Destination'."
        $exitCode = [int]($problems.Count -gt 0 -or $results.Succeeded -lt $summary.Rows)
    }
    if ($exitCode) {
        Send-Notice "Nightly batch $Date on $([Environment]::MachineName): some rows failed. $summary. Log: $folder"
    }
}
catch {
    $exitCode = 2
    Add-LogLine "Could not go on: $_ The next start goes on from here."
    Send-Notice "Nightly batch $Date on $([Environment]::MachineName) could not go on: $_ Log: $folder"
}
finally {
    # A local service of this script's own; what it has not finished goes on at its next start.
    if ($server) { $server | Stop-BatchServer }
}
Add-LogLine "End: exit code $exitCode."
exit $exitCode
