# Runs every PowerShell block of the README, one after the other in a new PowerShell, on a copy of the files that they
# need. A text block after it is the expected output. Also runs each line of a block that is marked norun, alone,
# and each command in the text: those of the service completely; for build.sh, it and build.ps1 must have the task.
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
    $lines = [regex]::Matches($text, '(?ms)^```powershell norun\r?\n(.*?)^```') | ForEach-Object { $_.Groups[1].Value -split '\r?\n' -ne '' } | ForEach-Object { @{ Line = $_ } }
    $verbs = [regex]::Matches($text, '(?<=`bin/server/inference-batch )(\w+)[^`]*') | ForEach-Object { @{ Verb = $_.Groups[1].Value; Rest = $_.Value } }
    $tasks = [regex]::Matches($text, '(?<=\./build\.sh )\w+').Value | Sort-Object -Unique | ForEach-Object { @{ Task = $_ } }
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
    # The blocks after the one that connects to a hosted service use the local service again.
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

    It 'has commands of every kind' -ForEach @{ Kinds = @($lines.Line), @($verbs.Verb), @($tasks.Task) } {
        $Kinds[0] | Should -Match '^Start-BatchServer -Upstream \S'
        $Kinds[1] | Should -Be 'serve', 'run'
        'demo', 'test' | Should -BeIn $Kinds[2]
    }

    It 'starts a service: <Line>' -ForEach $lines {
        $run = Receive-Shell (Start-Shell '-Command', @"
Set-Location -LiteralPath '$clone'
Import-Module ./InferenceBatch.psd1
`$said = @(& {
$Line
} 3>&1)
@{ Upstream = `$said[0].Upstream; Running = @(Get-BatchServer).Uri -contains `$said[0].Uri; Warnings = @(`$said | Select-Object -Skip 1 | ForEach-Object { "`$_" }) } | ConvertTo-Json
Get-BatchServer | Stop-BatchServer
"@ @{ XDG_STATE_HOME = Join-Path $TestDrive alone })
        $run.Error | Should -BeNullOrEmpty
        $ran = $run.Output | ConvertFrom-Json
        $upstream = [regex]::Match($Line, "(?<=-Upstream '?)[^' ]+").Value
        $ran.Upstream | Should -BeExactly $upstream
        $ran.Running | Should -BeTrue
        # The address may have any content, depending on the machine.
        @($ran.Warnings | Where-Object { $_ -notlike "*(upstream $upstream)*" }) | Should -BeNullOrEmpty
    }

    It 'runs without PowerShell: bin/server/inference-batch <Rest>' -ForEach $verbs {
        if ($Verb -eq 'run') { $null = 'eins', 'größer' | New-BatchRequest -Model echo | Export-BatchFile $clone/INPUT.jsonl }
        # Uses any free port, because a service of the user who runs the tests may use the default port.
        $shell = Start-Shell '-Command', "Set-Location -LiteralPath '$clone'; bin/server/inference-batch $Rest" @{ INFERENCE_BATCH_URLS = 'http://127.0.0.1:0'; INFERENCE_BATCH_DATA = Join-Path $TestDrive served }
        try {
            if ($Verb -eq 'serve') {
                $said = $shell.StandardOutput.ReadLine()
                $said | Should -Match '^listening on http://127\.0\.0\.1:\d+$'
                (Invoke-RestMethod "$($said -replace '^listening on ')/v1/models").data[0].id | Should -Be 'echo'
            }
            else {
                $run = Receive-Shell $shell
                $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
                (Get-Content -LiteralPath $clone/INPUT.output.jsonl | ConvertFrom-Json).response.body.choices.message.content | Sort-Object | Should -Be 'eins', 'größer'
            }
        }
        finally { $shell.Kill($true) }
    }

    It 'names a task that build.sh and build.ps1 know: <Task>' -ForEach $tasks {
        if (-not $IsWindows) {
            $null = bash $Root/build.sh $Task --help
            $LASTEXITCODE | Should -Be 0
            $null = bash $Root/build.sh no-task --help 2>&1
            $LASTEXITCODE | Should -Be 2
        }
        $said = Get-Failure { & $Root/build.ps1 no-task }
        "$said" -replace '.*The tasks are ' -split '\W+' | Should -Contain $Task
    }
}
