#Requires -Version 7.4

<#
.SYNOPSIS
Sorts the rows of a CSV into categories: answers that follow a JSON schema become columns.

.DESCRIPTION
Every request contains the schema, and the Value of each result is the parsed answer. If an answer does not match the schema (not
JSON, cut off by -MaxTokens, an unknown category), the columns of its row stay empty, and Problem has the reason.

The echo model answers with the prompt, which is not JSON. Use it to see the result of a model that does not follow the schema, or
use a real model.

Exit codes: 0 every row has a category; 1 some rows have none, or something else went wrong.

The service's key is read from the environment (INFERENCE_API_KEY, or the provider's own such as OPENAI_API_KEY). With the
SecretManagement module, put this before the script: $env:INFERENCE_API_KEY = Get-Secret Inference -AsPlainText

.PARAMETER Path
The rows: a CSV.

.PARAMETER Destination
The rows with the columns Category, Urgent and Problem, as a CSV.

.PARAMETER IdColumn
The column with the ID of a row. Each ID must be unique.

.PARAMETER TextColumn
The columns that the model reads.

.PARAMETER Category
The categories that the model may answer with.

.PARAMETER Model
The model, as the service names it.

.PARAMETER MaxTokens
The maximum length of an answer in tokens.

.PARAMETER BaseUri
The address of the service. The default is INFERENCE_BASE_URL; without it, a local service with a model that echoes the prompt, at no cost.

.PARAMETER Module
The module: its manifest in the clone, or InferenceBatch if it is installed.

.EXAMPLE
./examples/Classify.ps1 -BaseUri https://api.openai.com/v1 -Model gpt-4o-mini

.EXAMPLE
./examples/Classify.ps1 -Path ./reviews.csv -TextColumn Review -Category praise, complaint, question
#>
[CmdletBinding()]
param(
    [string] $Path = (Join-Path $PSScriptRoot tickets.csv),
    [string] $Destination = (Join-Path $PSScriptRoot work classified.csv),
    [string] $IdColumn = 'Id',
    [string[]] $TextColumn = @('Subject', 'Body'),
    [string[]] $Category = @('delivery', 'invoice', 'return', 'technical', 'contract', 'other'),
    [string] $Model = 'echo',
    [int] $MaxTokens = 200,
    [string] $BaseUri = $env:INFERENCE_BASE_URL,
    [string] $Module = (Join-Path $PSScriptRoot .. InferenceBatch.psd1)
)

$ErrorActionPreference = 'Stop'
Import-Module -Name $Module
$null = New-Item -Path (Join-Path $Destination ..) -ItemType Directory -Force

$schema = @{
    type                 = 'object'
    properties           = @{
        category = @{ type = 'string'; enum = $Category }
        urgent   = @{ type = 'boolean'; description = 'Whether a person should look at it today.' }
    }
    required             = @('category', 'urgent')
    additionalProperties = $false
}
$request = @{
    Model          = $Model
    CustomId       = { $_.$IdColumn }
    SystemPrompt   = "Sort the text into one of these categories: $($Category -join ', '). Answer with JSON."
    Prompt         = { $row = $_; ($TextColumn | ForEach-Object { $row.$_ }) -join "`n`n" }
    ResponseSchema = $schema
    MaxTokens      = $MaxTokens
    Temperature    = 0
}

$server = $null
try {
    if ($BaseUri) { Connect-BatchService -BaseUri $BaseUri }
    elseif (Get-BatchServer) { Connect-BatchService Local }
    else { $server = Start-BatchServer }

    $counts = @{ Sorted = 0; Unsorted = 0 }
    Import-Csv -LiteralPath $Path | Invoke-Batch @request -Ordered | ForEach-Object {
        $result = $_
        $problem = if ($result.Status -ne 'Succeeded') { "$($result.Status): $($result.Error)" }
        elseif ($result.ValueError) { $result.ValueError }
        elseif ($result.Value.category -cnotin $Category) { "no such category: $($result.Value.category)" }
        $counts[$problem ? 'Unsorted' : 'Sorted']++
        $value = $problem ? $null : $result.Value
        $result.InputObject | Select-Object -Property *,
        @{ Name = 'Category'; Expression = { $value.category } },
        @{ Name = 'Urgent'; Expression = { $value.urgent } },
        @{ Name = 'Problem'; Expression = { $problem } }
    } | Export-Csv -LiteralPath $Destination
}
finally {
    if ($server) { $server | Stop-BatchServer }
}
Write-Host "$($counts.Sorted) rows have a category, $($counts.Unsorted) have none: '$Destination'."
exit [int]($counts.Unsorted -gt 0)
