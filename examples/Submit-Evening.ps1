#Requires -Version 7.4

<#
.SYNOPSIS
Sends the rows of a CSV in the evening; Receive-Morning.ps1 collects the answers. No process waits in the meantime.

.DESCRIPTION
The evening's folder, named by the date, contains the rows, their requests and sent.json, which records the ID of each file and
each batch as soon as it is known. You can start the script again, wherever it ended: it sends what is not sent yet, does nothing
if everything is sent, and never creates a batch twice.

A row that cannot be sent (no prompt, a duplicate ID) stops the script before anything is sent. So does Constrained Language Mode,
because the script cannot lock the evening's folder against a second start in it.

Exit codes:
0    everything is sent
2    it could not finish; the next start resumes

The service's key is read from the environment (INFERENCE_API_KEY, or the provider's own such as OPENAI_API_KEY). With the
SecretManagement module, put this before the script: $env:INFERENCE_API_KEY = Get-Secret Inference -AsPlainText

.PARAMETER Path
The rows: a CSV with a column for the ID of each row and a column for its prompt.

.PARAMETER WorkPath
The folder in which the script creates a folder for each evening.

.PARAMETER Date
The name of the evening. A start before noon belongs to the evening before.

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

.PARAMETER MaxRequest
The maximum number of requests per file. Each file is a batch.

.PARAMETER BaseUri
The address of the service. The default is INFERENCE_BASE_URL; without it, a local service with a model that echoes the prompt, at no cost.
It keeps running.

.PARAMETER Module
The module: its manifest in the clone, or InferenceBatch if it is installed.

.EXAMPLE
./examples/Submit-Evening.ps1

.EXAMPLE
./examples/Submit-Evening.ps1 -Path /data/rows.csv -WorkPath /data/evenings -BaseUri https://api.openai.com/v1 -Model gpt-4o-mini
#>
[CmdletBinding()]
param(
    [string] $Path = (Join-Path $PSScriptRoot tickets.csv),
    [string] $WorkPath = (Join-Path $PSScriptRoot work evening),
    [string] $Date = [DateTime]::Now.AddHours(-12).ToString('yyyy-MM-dd', [cultureinfo]::InvariantCulture),
    [string] $IdColumn = 'Id',
    [string] $PromptColumn = 'Body',
    [string] $SystemPrompt = 'Summarise this ticket in one sentence.',
    [string] $Model = 'echo',
    [int] $MaxTokens = 300,
    [int] $MaxRequest = 50000,
    [string] $BaseUri = $env:INFERENCE_BASE_URL,
    [string] $Module = (Join-Path $PSScriptRoot .. InferenceBatch.psd1)
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$mode = $ExecutionContext.SessionState.LanguageMode
if ($mode -ne 'FullLanguage') {
    Write-Host "Nothing was sent: the script needs Full Language mode (here it is $mode) to lock the evening's folder against a second start."
    exit 2
}

# A reader, or a start after a power cut, finds the old or the new text, never a part of it.
function Save-State {
    ConvertTo-Json $state -Depth 4 | Set-Content -LiteralPath "$statePath.tmp"
    Move-Item -LiteralPath "$statePath.tmp" -Destination $statePath -Force
}

$lock = $null
try {
    $folder = (New-Item -Path (Join-Path $WorkPath $Date) -ItemType Directory -Force).FullName
    $statePath = Join-Path $folder sent.json
    $lock = [IO.File]::Open((Join-Path $folder lock), 'OpenOrCreate', 'ReadWrite', 'None')

    Import-Module -Name $Module
    if ($BaseUri) { Connect-BatchService -BaseUri $BaseUri }
    elseif (Get-BatchServer) { Connect-BatchService Local }
    else { $null = Start-BatchServer }
    $address = "$((Get-BatchConnection).BaseUri)"

    if (-not (Test-Path -LiteralPath $statePath)) {
        $rows = Join-Path $folder rows.csv
        Copy-Item -LiteralPath $Path -Destination $rows -Force
        $files = Import-Csv -LiteralPath $rows |
            New-BatchRequest -Model $Model -CustomId { $_.$IdColumn } -Prompt { $_.$PromptColumn } -SystemPrompt $SystemPrompt -MaxTokens $MaxTokens |
            Export-BatchFile (Join-Path $folder requests.jsonl) -MaxRequest $MaxRequest -Force
        if (-not $files) {
            throw "'$Path' has no rows."
        }
        $state = [ordered]@{
            BaseUri  = $address
            IdColumn = $IdColumn
            Begun    = [DateTime]::UtcNow.ToString('o')
            Parts    = @($files | ForEach-Object { @{ File = $_.Name; InputFileId = $null; BatchId = $null } })
        }
        Save-State
    }

    $state = Get-Content -LiteralPath $statePath -Raw | ConvertFrom-Json
    if ($state.BaseUri -ne $address) {
        throw "This evening was started at $($state.BaseUri), not at $address. Use -BaseUri $($state.BaseUri)."
    }
    foreach ($part in $state.Parts | Where-Object { -not $_.BatchId }) {
        # An upload that was not recorded is repeated. It costs nothing; only a batch does.
        if (-not $part.InputFileId) {
            $part.InputFileId = (Send-BatchFile -LiteralPath (Join-Path $folder $part.File)).Id
            Save-State
        }
        # An earlier start may have ended after it created the batch and before it recorded the ID.
        $batch = Get-Batch -Since ([DateTimeOffset]$state.Begun).AddHours(-1) | Where-Object InputFileId -EQ $part.InputFileId | Select-Object -First 1
        $batch ??= New-Batch -InputFileId $part.InputFileId
        $part.BatchId = $batch.Id
        Save-State
        Write-Host "$($part.File): $($part.BatchId)"
    }
    Write-Host "Everything was sent to $address`: $(@($state.Parts).Count) batches. To collect the answers: Receive-Morning.ps1 -Date $Date"
    $exitCode = 0
}
catch {
    Write-Host "Could not finish: $_ The next start resumes from here."
    $exitCode = 2
}
finally {
    ${lock}?.Dispose()
}
exit $exitCode
