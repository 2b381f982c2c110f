#Requires -Version 7.4

<#
.SYNOPSIS
Runs a batch on a model server on this machine, such as llama.cpp, Ollama or vLLM: nothing leaves the machine, and nothing is billed.

.DESCRIPTION
Starts the local batch service in front of the model server, sends the rows of a CSV through it, and stops the service again. The service
finds out how many requests the model server handles well at the same time, and retries requests that failed for a temporary reason.

If the script ends early, the same command resumes it, and existing answers are not generated again.

Exit codes: 0 every row was answered; 1 some rows were not, or something else went wrong.

.PARAMETER Upstream
The model server's OpenAI-compatible address: 11434 is Ollama's port, 9931 llama.cpp's (8080 in earlier versions), 8000 vLLM's.

.PARAMETER UpstreamApiKey
Its key, if it requires one. The default is UPSTREAM_API_KEY.

.PARAMETER Model
The model, as the server names it. The default is the first one that the server lists.

.PARAMETER Path
The rows: a CSV.

.PARAMETER Destination
The rows with their answers, as a CSV.

.PARAMETER WorkPath
The folder for the data of the service and the checkpoint of the run. It is removed when every row is answered.

.PARAMETER IdColumn
The column with the ID of a row. Each ID must be unique.

.PARAMETER PromptColumn
The column with the prompt.

.PARAMETER SystemPrompt
The system message before each prompt.

.PARAMETER MaxTokens
The maximum length of an answer in tokens.

.PARAMETER Module
The module: its manifest in the clone, or InferenceBatch if it is installed.

.EXAMPLE
./examples/LocalModel.ps1 -Model llama3.2

.EXAMPLE
./examples/LocalModel.ps1 -Upstream http://127.0.0.1:8080/v1 -Path ./rows.csv -PromptColumn Question
#>
[CmdletBinding()]
param(
    [uri] $Upstream = 'http://127.0.0.1:11434/v1',
    [string] $UpstreamApiKey = $env:UPSTREAM_API_KEY,
    [string] $Model,
    [string] $Path = (Join-Path $PSScriptRoot tickets.csv),
    [string] $Destination = (Join-Path $PSScriptRoot work local.csv),
    [string] $WorkPath = (Join-Path $PSScriptRoot work local),
    [string] $IdColumn = 'Id',
    [string] $PromptColumn = 'Body',
    [string] $SystemPrompt = 'Summarise this ticket in one sentence.',
    [int] $MaxTokens = 300,
    [string] $Module = (Join-Path $PSScriptRoot .. InferenceBatch.psd1)
)

$ErrorActionPreference = 'Stop'
Import-Module -Name $Module
$null = New-Item -Path $WorkPath, (Join-Path $Destination ..) -ItemType Directory -Force

$start = @{ Upstream = "$Upstream"; DataPath = Join-Path $WorkPath service }
$header = @{}
if ($UpstreamApiKey) {
    $start.UpstreamApiKey = $UpstreamApiKey
    $header.Authorization = "Bearer $UpstreamApiKey"
}
if (-not $Model) {
    $Model = (Invoke-RestMethod -Uri "$("$Upstream".TrimEnd('/'))/models" -Headers $header -TimeoutSec 10).data[0].id
    Write-Host "The model is $Model."
}

$counts = @{ Answered = 0; Other = 0 }
$server = Start-BatchServer @start
try {
    $run = @{
        Model          = $Model
        CustomId       = { $_.$IdColumn }
        Prompt         = { $_.$PromptColumn }
        SystemPrompt   = $SystemPrompt
        MaxTokens      = $MaxTokens
        CheckpointPath = Join-Path $WorkPath checkpoint
        Connection     = Get-BatchConnection
    }
    Import-Csv -LiteralPath $Path | Invoke-Batch @run -Ordered | ForEach-Object {
        $result = $_
        $counts[$result.Status -eq 'Succeeded' ? 'Answered' : 'Other']++
        $result.InputObject | Select-Object -Property *,
        @{ Name = 'AnswerStatus'; Expression = { $result.Status } },
        @{ Name = 'Answer'; Expression = { $result.Text } },
        @{ Name = 'AnswerError'; Expression = { $result.Error } }
    } | Export-Csv -LiteralPath $Destination
}
finally {
    if ($server) { $server | Stop-BatchServer }
}
Write-Host "$($counts.Answered) rows answered, $($counts.Other) not: '$Destination'."
if (-not $counts.Other) {
    Remove-Item -LiteralPath $WorkPath -Recurse
}
exit [int]($counts.Other -gt 0)
