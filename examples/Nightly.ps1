#Requires -Version 7.4

<#
.SYNOPSIS
A nightly run, for cron, a systemd timer or Task Scheduler: rows of a CSV in, the same rows with their answers out.

.DESCRIPTION
One folder per night, named by the date, contains the log, the checkpoint of the run and the answers. The checkpoint stores
what was sent and answered. However the script ended, the next start resumes there and pays for nothing twice. A second start
while the first one is running ends at once (CheckpointInUse), and a start after the end returns the same answers again at no
cost.

Exit codes:
0    every row was answered
1    the run has ended, but some rows failed (see the answers) or were left out (no prompt, a duplicate ID; see the log)
2    the run could not finish; the next start resumes it from the checkpoint

The service's key is read from the environment (INFERENCE_API_KEY, or the provider's own such as OPENAI_API_KEY) and is not
written to any file. With the SecretManagement module, put this before the run: $env:INFERENCE_API_KEY = Get-Secret Inference -AsPlainText

Prompts and answers stay in the night's folder as plain text: delete old folders when their answers are safe.

For mail instead of a webhook, put one of these into Send-Notice:
    $Text | mail -s 'Nightly batch' ops@example.org
    [Net.Mail.SmtpClient]::new('smtp.example.org').Send('batch@example.org', 'ops@example.org', 'Nightly batch', $Text)

.PARAMETER Path
The rows: a CSV with a column for the ID of each row and a column for its prompt.

.PARAMETER WorkPath
The folder in which the script creates a folder for each night.

.PARAMETER Date
The name of the night. A start before noon belongs to the evening before, so a run that is started at 23:00 and again at 1:00
is one run.

.PARAMETER Destination
The answers, as a CSV. The default is answers.csv in the night's folder. The file appears when it is complete.

.PARAMETER IdColumn
The column with the ID of a row. Each ID must be unique.

.PARAMETER PromptColumn
The column with the prompt.

.PARAMETER SystemPrompt
The system message before each prompt.

.PARAMETER Model
The model, as the service names it.

.PARAMETER MaxTokens
The maximum length of an answer in tokens, which limits the cost of a row.

.PARAMETER BaseUri
The address of the service. The default is INFERENCE_BASE_URL; without it, a local service with a model that echoes the prompt, at no cost.

.PARAMETER TimeoutHours
How long to wait for a batch. After that, the exit code is 2, and the next start continues the wait.

.PARAMETER NotifyUri
The incoming webhook of a chat, which accepts {"text": "..."}. The script calls it if the exit code is not 0. The default is NIGHTLY_NOTIFY_URI.

.PARAMETER Module
The module: its manifest in the clone, or InferenceBatch if it is installed.

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
    Add-LogLine "Start with the rows of '$Path'."
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
    # A row that cannot be sent does not stop the others: the log names it, and the exit code counts it.
    Import-Csv -LiteralPath $Path |
        Invoke-Batch @run -ErrorAction SilentlyContinue -ErrorVariable problems -InformationVariable said 3>&1 |
        ForEach-Object {
            if ($_ -is [System.Management.Automation.WarningRecord]) {
                Add-LogLine "Warning: $_"
                return
            }

            $result = $_
            $result.InputObject | Select-Object -Property *,
            @{ Name = 'AnswerStatus'; Expression = { $result.Status } },
            @{ Name = 'Answer'; Expression = { $result.Text } },
            @{ Name = 'AnswerError'; Expression = { $result.Error } }
        } | Export-Csv -LiteralPath "$Destination.tmp"

    $problems | ForEach-Object { Add-LogLine "Problem: $_" }
    $summary = ($said | Where-Object Tags -Contains BatchRunSummary).MessageData
    if (-not $summary.Requests) {
        Add-LogLine 'There were no rows to send.'
        $exitCode = [int]($problems.Count -gt 0)
    }
    else {
        $results = $summary.Results
        Add-LogLine "$($summary.Rows) rows: $($results.Succeeded) succeeded, $($results.Failed) failed, $($results.Expired) expired, $($results.Missing) missing, $($summary.LeftOut) left out, $($summary.Unanswered) still open."
        $results.Failures | ForEach-Object { Add-LogLine "  $($_.Count) with $($_.Code): $($_.Message)" }
        Add-LogLine "$($summary.Requests) requests in $($summary.Rounds) rounds, $($results.TotalTokens ?? 0) tokens, cost $($results.Cost ?? 'unknown'), batches $($summary.BatchIds -join ', ')."
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
    Add-LogLine "Could not finish: $_ The next start resumes from here."
    Send-Notice "Nightly batch $Date on $([Environment]::MachineName) could not finish: $_ Log: $folder"
}
finally {
    # Only a local service that this script started; its next start resumes what is not finished.
    if ($server) { $server | Stop-BatchServer }
}
Add-LogLine "End: exit code $exitCode."
exit $exitCode
