# Tests the module without a user: no terminal, no input, no HOME, redirected output, a constrained session.

BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Esc = [char]27
    # Uses most of the module. The last line is a summary.
    $script:Everything = @'
$requests = 'eins', 'größer' | New-BatchRequest -Model echo -MaxTokens 9
$file = $requests | Export-BatchFile ./in.jsonl -Force
$valid = Test-BatchFile $file -Quiet
$batch = Import-BatchFile $file | Send-BatchFile | New-Batch | Wait-Batch
$results = $batch | Get-BatchResult -Request $requests -Ordered
$saved = @($batch | Save-BatchFile)
$again = 'a', 'b' | Invoke-Batch -Model echo -Ordered -CheckpointPath ./run
$measure = $again | Measure-BatchResult
"$valid $($batch.Status) $($results.Text -join ',') $($saved.Count) $($again.Text -join ',') $($measure.Succeeded)"
'@
    $script:Right = 'True Completed eins,größer 1 a,b 2'
    function New-Folder { (New-Item -ItemType Directory -Path (Join-Path $TestDrive ([guid]::NewGuid().ToString('N').Substring(0, 8)))).FullName }
    # Runs a script in its own folder.
    function Invoke-Alone([string] $Script, [hashtable] $Environment = @{}) {
        Invoke-ChildShell "Set-Location -LiteralPath '$(New-Folder)'`n$Script" (@{ INFERENCE_BASE_URL = "$($Server.Uri)" } + $Environment)
    }
}

AfterAll { Stop-TestServices }

Describe 'Unattended runs' {
    It 'work without input, terminal and profile' {
        $run = Invoke-Alone $Everything
        $run.Error | Should -BeNullOrEmpty
        $run.Output.Trim() | Should -BeExactly $Right
        $run.ExitCode | Should -Be 0
    }

    It 'work with standard input closed and no terminal' -Skip:(-not $IsLinux) {
        $script = Join-Path (New-Folder) run.ps1
        Set-Content -LiteralPath $script "Import-Module '$ModulePath'; Set-Location -LiteralPath '$(New-Folder)'; Connect-BatchService -BaseUri $($Server.Uri)`n$Everything"
        $output = /usr/bin/env setsid --wait sh -c 'exec "$@" 0<&- 2>&1' sh @PowerShell -NoProfile -NonInteractive -File $script
        "$output" | Should -BeExactly $Right
    }

    It 'never prompt: an operation that needs confirmation runs with -Confirm:$false, and is one clear error otherwise' {
        $run = Invoke-Alone @'
$file = 'x' | New-BatchRequest -Model echo | Send-BatchFile
$file | Remove-BatchFile -Confirm:$false
$other = 'x' | New-BatchRequest -Model echo | Send-BatchFile
try { $other | Remove-BatchFile; 'removed' } catch { "$_" }
@(Get-BatchFile).Id -contains $file.Id
'@
        $lines = $run.Output.Trim() -split '\r?\n'
        $lines.Count | Should -Be 2 -Because $run.Output
        $lines[0] | Should -Match 'removed|NonInteractive'
        $lines[1] | Should -Be 'False'
    }

    It 'work without HOME, also the local service' -Skip:$IsWindows {
        $none = @{}
        'HOME', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'USER', 'LOGNAME', 'INFERENCE_BASE_URL' | ForEach-Object { $none[$_] = $null }
        $none.TMPDIR = New-Folder
        $run = Invoke-ChildShell "Set-Location -LiteralPath '$(New-Folder)'; `$server = Start-BatchServer; try { `$server.DataPath; $Everything } finally { Get-BatchServer | Stop-BatchServer }" $none
        $run.Error | Should -BeNullOrEmpty
        $run.Output.Trim() -split '\r?\n' | Should -BeExactly (Join-Path $none.TMPDIR inference-batch), $Right
    }

    It 'work in a folder that is the root, or was deleted' -Skip:$IsWindows {
        $run = Invoke-ChildShell "Set-Location /; `$x = ('a' | Invoke-Batch -Model echo -BaseUri $($Server.Uri)).Text; `$x; `$gone = New-Item -ItemType Directory '$TestDrive/gone'; Set-Location `$gone; [IO.Directory]::SetCurrentDirectory(`$gone); Remove-Item `$gone; ('b' | Invoke-Batch -Model echo -BaseUri $($Server.Uri)).Text"
        $run.Output.Trim() -split '\r?\n' | Should -Be 'a', 'b' -Because $run.Error
    }

    It 'write no progress and no color into redirected output' {
        # PowerShell colors its own headings even then, unless NO_COLOR is set.
        $look = "`$ProgressPreference = 'Continue'`n$Everything`n`$results; Get-Batch -First 1; Get-BatchFile | Select-Object -First 1; Get-BatchServer; Get-BatchConnection; Get-Batch none"
        $plain = Invoke-Alone $look @{ NO_COLOR = '1'; TERM = 'xterm-256color' }
        $plain.Output | Should -Not -Match $Esc
        # PowerShell 7.4 and 7.5 color every error anyway.
        if ($PSVersionTable.PSVersion -ge '7.6') { $plain.Error | Should -Not -Match $Esc }
        $plain.Output | Should -Match 'Succeeded'
        $plain.Error | Should -Match 'No batch found with id'
        $coloured = Invoke-Alone $look @{ NO_COLOR = $null; TERM = 'xterm-256color' }
        $rows = @($coloured.Output -split '\r?\n' | Where-Object { $_ -match '^request-\d' })
        $rows.Count | Should -Be 2
        $rows | Should -Not -Match $Esc
        $coloured.Output | Should -Not -Match '%.*\r|\[\?25'
    }

    It 'end a script with the first error and exit code 1: one line that says what to do' {
        $run = Invoke-Alone "`$ErrorActionPreference = 'Stop'; Connect-BatchService Local -BaseUri http://127.0.0.1:$(Get-FreePort)/v1; Get-Batch -First 1; 'not reached'" @{ NO_COLOR = '1' }
        $run.ExitCode | Should -Be 1
        $run.Output | Should -Not -Match 'not reached'
        $run.Error | Should -Match 'cannot be reached'
        $run.Error -replace '[\s|]+', ' ' | Should -Match 'To start the local service, use Start-BatchServer\. After Disconnect-BatchService, commands call the address in INFERENCE_BASE_URL'
    }
}

Describe 'A constrained session' {
    It 'uses a module that was imported before' {
        $run = Invoke-Alone "`$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'`n$Everything"
        $run.Error | Should -BeNullOrEmpty
        $run.Output.Trim() | Should -BeExactly $Right
    }

    It 'imports the module, binds script blocks and returns objects' {
        $folder = New-Folder
        $script = Join-Path $folder run.ps1
        Set-Content -LiteralPath $script @"
Set-Location -LiteralPath '$folder'
`$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'
Import-Module '$ModulePath'
$Everything
(Import-Csv '$Root/examples/tickets.csv' | Select-Object -First 2 | Invoke-Batch -Model echo -CustomId { `$_.Id } -Prompt { `$_.Customer } -Ordered).Text -join ','
`$results | Select-Object CustomId, Status, Text
"@
        $run = Receive-Shell (Start-Shell '-File', $script @{ INFERENCE_BASE_URL = "$($Server.Uri)" })
        $run.Error | Should -BeNullOrEmpty
        $lines = $run.Output.Trim() -split '\r?\n'
        $lines[0, 1] | Should -BeExactly $Right, 'Nora Whitfield,Jonas Brandt'
        $run.Output | Should -Match '(?m)^request-1\s+Succeeded\s+eins'
    }
}
