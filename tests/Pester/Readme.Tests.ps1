# Every PowerShell block of the README is run, one after the other in a PowerShell of their own, on a copy of what they
# need; a text block that follows is what the block must have printed.
BeforeDiscovery {
    $text = Get-Content -LiteralPath "$PSScriptRoot/../../README.md" -Raw
    $blocks = [regex]::Matches($text, '(?ms)^```powershell\r?\n(?<code>.*?)^```\r?\n(?:\r?\n```text\r?\n(?<output>.*?)^```)?')
    $number = 0
    $cases = foreach ($block in $blocks) {
        @{
            Number = $number++
            Title  = ($block.Groups['code'].Value -split '\r?\n')[0]
            Code   = $block.Groups['code'].Value
            Output = $block.Groups['output'].Success ? $block.Groups['output'].Value : $null
        }
    }
}

Describe 'README' -ForEach @(, $cases) {
    BeforeAll {
        . $PSScriptRoot/Service.ps1
        $clone = Join-Path $TestDrive clone
        $null = New-Item -ItemType Directory -Path $clone/examples
        Copy-Item -LiteralPath $ModulePath -Destination $clone
        Copy-Item -LiteralPath $Root/examples/tickets.csv -Destination $clone/examples
        Copy-Item -LiteralPath $ModuleFolder/bin -Destination $clone -Recurse

        ConvertTo-Json @($_.Code) | Set-Content -LiteralPath $TestDrive/blocks.json
        Set-Content -LiteralPath $TestDrive/run.ps1 @'
Set-Location -LiteralPath $PSScriptRoot/clone
$PSStyle.OutputRendering = 'PlainText'
$ran = foreach ($code in Get-Content -LiteralPath $PSScriptRoot/blocks.json -Raw | ConvertFrom-Json) {
    $Error.Clear()
    $written = try { . ([scriptblock]::Create($code)) | Out-String -Width 100 } catch { '' }
    @{ Output = "$written"; Errors = @($Error | ForEach-Object { "$_" }) }
    # The blocks after the one that turns to a hosted service go on with the local one.
    if ($code -match 'Connect-BatchService InferenceNet') { Connect-BatchService Local }
}
ConvertTo-Json @($ran) -Depth 4 | Set-Content -LiteralPath $PSScriptRoot/ran.json
'@
        $run = Receive-Shell (Start-Shell '-File', "$TestDrive/run.ps1" @{ INFERENCE_API_KEY = 'readme-key' })
        if (-not (Test-Path -LiteralPath $TestDrive/ran.json)) { throw "The blocks did not run. $($run.Error)" }
        $script:Ran = Get-Content -LiteralPath $TestDrive/ran.json -Raw | ConvertFrom-Json
    }

    AfterAll { Stop-TestServices }

    It 'runs: <Title>' -ForEach $_ {
        $Ran[$Number].Errors | Should -BeNullOrEmpty
        if ($Output) {
            $lines = { param($Text) @($Text -split '\r?\n' | ForEach-Object TrimEnd | Where-Object { $_ }) -join "`n" }
            & $lines $Ran[$Number].Output | Should -BeExactly (& $lines $Output)
        }
    }
}
