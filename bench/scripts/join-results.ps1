# Figure 4: joins the results of a batch to their requests, as objects with typed properties, in the order of the requests.
param(
    [ValidateSet('Module', 'Script')] [string] $Way,
    [string] $Manifest,
    [string] $RequestPath,
    [string] $OutputPath,
    [string] $ErrorPath,
    [switch] $Streamed
)
$ErrorActionPreference = 'Stop'
Import-Module $Manifest
$clock = [Diagnostics.Stopwatch]::StartNew()
if ($Streamed) {
    Get-BatchResult -Path $OutputPath, $ErrorPath -RequestPath $RequestPath -Ordered | ForEach-Object { $null = $_.Text }
}
elseif ($Way -eq 'Module') {
    $results = Get-BatchResult -Path $OutputPath, $ErrorPath -RequestPath $RequestPath -Ordered
}
else {
    $answers = @{}
    Get-Content -LiteralPath $OutputPath, $ErrorPath | ConvertFrom-Json | ForEach-Object { $answers[$_.custom_id] = $_ }
    $results = Get-Content -LiteralPath $RequestPath | ConvertFrom-Json | ForEach-Object {
        $answer = $answers[$_.custom_id]
        $body = $answer.response.body
        $failure = $answer.error ?? $body.error
        [pscustomobject]@{
            CustomId     = $_.custom_id
            Status       = $failure ? 'Failed' : 'Succeeded'
            StatusCode   = $answer.response.status_code
            Text         = $body.choices.message.content
            FinishReason = $body.choices.finish_reason
            TotalTokens  = $body.usage.total_tokens
            Error        = $failure.message
            Request      = $_
        }
    }
}
$seconds = $clock.Elapsed.TotalSeconds

$digest = $null
if (@($results).Count -eq 1000) {
    $text = $results | ForEach-Object {
        $message = $Way -eq 'Module' ? $_.Error.Message : $_.Error
        "$($_.CustomId)|$($_.Status)|$($_.StatusCode)|$($_.Text)|$($_.FinishReason)|$($_.TotalTokens)|$message"
    }
    $digest = [Convert]::ToHexString([Security.Cryptography.SHA256]::HashData([Text.Encoding]::UTF8.GetBytes($text -join "`n")))
}
@{ seconds = $seconds; digest = $digest; peakBytes = [Diagnostics.Process]::GetCurrentProcess().PeakWorkingSet64 } | ConvertTo-Json -Compress
