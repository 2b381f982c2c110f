#Requires -Version 7.4

<#
.SYNOPSIS
Turns the texts of a CSV into vectors: one JSON line per row, for a vector database or a notebook.

.DESCRIPTION
Each line is {"id": ..., "embedding": [...]}, with the numbers as the service wrote them. Equal texts are sent once. The file does not
contain rows that failed; the script prints them, and the exit code is 1.

The service's key is read from the environment (INFERENCE_API_KEY, or the provider's own such as OPENAI_API_KEY). With the
SecretManagement module, put this before the script: $env:INFERENCE_API_KEY = Get-Secret Inference -AsPlainText

.PARAMETER Path
The rows: a CSV.

.PARAMETER Destination
The vectors, as JSONL. The file appears when it is complete.

.PARAMETER IdColumn
The column with the ID of a row. Each ID must be unique.

.PARAMETER TextColumn
The column with the text to embed.

.PARAMETER Model
The model, as the service names it.

.PARAMETER Dimension
The number of dimensions of a vector, for models that can return fewer than their default. 0 uses the default of the model.

.PARAMETER BaseUri
The address of the service. The default is INFERENCE_BASE_URL; without it, a local service with a model whose vectors depend on the
text but have no meaning, at no cost.

.PARAMETER Module
The module: its manifest in the clone, or InferenceBatch if it is installed.

.EXAMPLE
./examples/Embed.ps1

.EXAMPLE
./examples/Embed.ps1 -Path ./reviews.csv -TextColumn Review -BaseUri https://api.openai.com/v1 -Model text-embedding-3-small -Dimension 512
#>
[CmdletBinding()]
param(
    [string] $Path = (Join-Path $PSScriptRoot tickets.csv),
    [string] $Destination = (Join-Path $PSScriptRoot work vectors.jsonl),
    [string] $IdColumn = 'Id',
    [string] $TextColumn = 'Subject',
    [string] $Model = 'echo',
    [int] $Dimension,
    [string] $BaseUri = $env:INFERENCE_BASE_URL,
    [string] $Module = (Join-Path $PSScriptRoot .. InferenceBatch.psd1)
)

$ErrorActionPreference = 'Stop'
Import-Module -Name $Module
$null = New-Item -Path "$Destination.tmp" -ItemType File -Force

$request = @{ Model = $Model; Endpoint = '/v1/embeddings'; CustomId = { $_.$IdColumn }; Prompt = { $_.$TextColumn } }
if ($Dimension) {
    $request.Body = @{ dimensions = $Dimension }
}

$server = $null
$written = $failed = 0
try {
    if ($BaseUri) { Connect-BatchService -BaseUri $BaseUri }
    elseif (Get-BatchServer) { Connect-BatchService Local }
    else { $server = Start-BatchServer }

    Import-Csv -LiteralPath $Path | Invoke-Batch @request -Deduplicate | ForEach-Object {
        # The vector is copied as text, so no number is rounded and no object is created.
        if ($_.Status -eq 'Succeeded' -and $_.Json -match '"embedding"\s*:\s*(?<Vector>\[[^][]+\])') {
            "{""id"": $(ConvertTo-Json $_.CustomId), ""embedding"": $($Matches.Vector)}`n"
            $written++
        }
        else {
            Write-Host "$($_.CustomId): $($_.Status) $($_.Error ?? 'without a vector')"
            $failed++
        }
    } | Set-Content -LiteralPath "$Destination.tmp" -NoNewline
    Move-Item -LiteralPath "$Destination.tmp" -Destination $Destination -Force
}
finally {
    if ($server) { $server | Stop-BatchServer }
}
Write-Host "$written vectors, $failed rows failed: '$Destination'."
exit [int]($failed -gt 0)
