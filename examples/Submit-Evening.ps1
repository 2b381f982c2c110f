#Requires -Version 7.4

<#
.SYNOPSIS
Sends the rows of a CSV in the evening; Receive-Morning.ps1 collects the answers. Nothing waits in between.

.DESCRIPTION
The evening's folder, named by the date, gets the rows, the requests made of them and sent.json: the id of each file and each
batch, written down as soon as it is known. Started again, at whatever instant it was ended, the script goes on with what is
not sent yet, and does nothing where all is: no batch is made twice.

A row that cannot be sent (no prompt, a name that stands twice) stops the script before anything is sent. So does Constrained
Language Mode, in which the evening's folder could not be locked against a second start.

Exit codes:
0    everything is sent
2    it could not go on; the next start does

The service's key is read from the environment (INFERENCE_API_KEY, or the provider's own such as OPENAI_API_KEY). With the
SecretManagement module, put this before it: $env:INFERENCE_API_KEY = Get-Secret Inference -AsPlainText

.PARAMETER Path
The rows: a CSV, with a column that names each row and one that holds its prompt.

.PARAMETER WorkPath
Where the folder of each evening is made.

.PARAMETER Date
The evening's name. What starts before noon belongs to the evening before.

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

.PARAMETER MaxRequest
How many requests a file may have, which is a batch each.

.PARAMETER BaseUri
The service. INFERENCE_BASE_URL when not given; without either, a local service with a model that echoes the prompt, at no cost.
It is left running.

.PARAMETER Module
The module: that of the clone, or InferenceBatch where it is installed.

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
    Write-Host "Nothing is sent: without Full Language mode (here it is $mode) a second start could not be kept from the evening's folder."
    exit 2
}

# A reader, and a start after a power cut, finds the old text or the new one, never half of it.
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
        throw "This evening was begun at $($state.BaseUri), not at $address."
    }
    foreach ($part in $state.Parts | Where-Object { -not $_.BatchId }) {
        # An upload that was not written down is made again: it costs nothing, only a batch does.
        if (-not $part.InputFileId) {
            $part.InputFileId = (Send-BatchFile -LiteralPath (Join-Path $folder $part.File)).Id
            Save-State
        }
        # An earlier start may have been ended between the making of the batch and the note of it.
        $batch = Get-Batch -Since ([DateTimeOffset]$state.Begun).AddHours(-1) | Where-Object InputFileId -EQ $part.InputFileId | Select-Object -First 1
        $batch ??= New-Batch -InputFileId $part.InputFileId
        $part.BatchId = $batch.Id
        Save-State
        Write-Host "$($part.File): $($part.BatchId)"
    }
    Write-Host "All is sent to $address`: $(@($state.Parts).Count) batches. To collect the answers: Receive-Morning.ps1 -Date $Date"
    $exitCode = 0
}
catch {
    Write-Host "Could not go on: $_ The next start goes on from here."
    $exitCode = 2
}
finally {
    ${lock}?.Dispose()
}
exit $exitCode
