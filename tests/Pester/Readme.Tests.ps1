#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.5.0' }

# Every PowerShell block of the README is run, in one session, from a copy of what it needs; a text block that follows
# is what the block must have printed.
BeforeDiscovery {
    $text = Get-Content -LiteralPath "$PSScriptRoot/../../README.md" -Raw
    $blocks = [regex]::Matches($text, '(?ms)^```powershell\r?\n(?<code>.*?)^```\r?\n(?:\r?\n```text\r?\n(?<output>.*?)^```)?')
    $cases = foreach ($block in $blocks) {
        @{
            Title  = ($block.Groups['code'].Value -split '\r?\n')[0]
            Code   = $block.Groups['code'].Value
            Output = $block.Groups['output'].Success ? $block.Groups['output'].Value : $null
        }
    }
}

Describe 'README' {
    BeforeAll {
        $root = (Resolve-Path "$PSScriptRoot/../..").Path
        $script:saved = @{}
        foreach ($name in 'XDG_STATE_HOME', 'INFERENCE_API_KEY', 'INFERENCE_BASE_URL') {
            $script:saved[$name] = [Environment]::GetEnvironmentVariable($name)
        }
        $env:XDG_STATE_HOME = "$TestDrive/state"
        $env:INFERENCE_API_KEY = 'readme-key'
        $env:INFERENCE_BASE_URL = $null
        New-Item -ItemType Directory -Path "$TestDrive/clone/examples" -Force | Out-Null
        Copy-Item -LiteralPath "$root/InferenceBatch.psd1" -Destination "$TestDrive/clone"
        Copy-Item -LiteralPath "$root/examples/tickets.csv" -Destination "$TestDrive/clone/examples"
        Copy-Item -LiteralPath "$root/bin" -Destination "$TestDrive/clone" -Recurse
        $script:shell = [powershell]::Create()
        $script:shell.AddScript("Set-Location -LiteralPath '$TestDrive/clone'; `$PSStyle.OutputRendering = 'PlainText'").Invoke()
    }

    AfterAll {
        $script:shell.Commands.Clear()
        $script:shell.AddScript('InferenceBatch\Get-InferenceBatchServer | InferenceBatch\Stop-InferenceBatchServer; Get-BatchServer | Stop-BatchServer').Invoke()
        $script:shell.Dispose()
        foreach ($name in $script:saved.Keys) {
            [Environment]::SetEnvironmentVariable($name, $script:saved[$name])
        }
    }

    It 'runs: <Title>' -ForEach $cases {
        $script:shell.Commands.Clear()
        $script:shell.Streams.ClearStreams()
        # The README goes on with the local service after it has shown how to turn to another.
        $after = $Code -match 'Connect-BatchService' ? "`nDisconnect-BatchService; Connect-BatchService -BaseUri (Get-BatchServer).Uri" : ''
        $written = $script:shell.AddScript(". { $Code$after } | Out-String -Width 100").Invoke() -join ''
        $script:shell.Streams.Error | ForEach-Object { "$_" } | Should -BeNullOrEmpty
        if ($Output) {
            $lines = { param($t) @($t -split '\r?\n' | ForEach-Object TrimEnd | Where-Object { $_ }) -join "`n" }
            & $lines $written | Should -BeExactly (& $lines $Output)
        }
    }
}
