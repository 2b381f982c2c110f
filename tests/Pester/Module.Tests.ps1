BeforeAll {
    . $PSScriptRoot/Common.ps1
    $root = Join-Path $PSScriptRoot .. .. | Resolve-Path
    $manifest = Test-ModuleManifest -Path $ModulePath
    $module = Import-Module $ModulePath -Force -PassThru
}

Describe 'The module' {
    It 'has the version of Directory.Build.props' {
        $properties = [xml](Get-Content -LiteralPath (Join-Path $root Directory.Build.props) -Raw)
        $manifest.Version | Should -Be ([version]$properties.SelectSingleNode('//Version').InnerText)
    }

    It 'exports every cmdlet that its manifest names, and nothing else' {
        $named = (Import-PowerShellDataFile -LiteralPath $ModulePath).CmdletsToExport
        $module.ExportedCommands.Keys | Sort-Object | Should -Be ($named | Sort-Object)
        Get-Command -Module $module.Name | Should -BeOfType System.Management.Automation.CmdletInfo
    }

    It 'uses approved verbs and one noun family' {
        $verbs = (Get-Verb).Verb
        foreach ($command in $module.ExportedCommands.Values) {
            $command.Verb | Should -BeIn $verbs
            $command.Noun | Should -Match '^Batch'
        }
    }

    It 'contains only its own two assemblies' {
        (Get-ChildItem -Path (Join-Path $ModuleFolder bin) -Filter *.dll).Name | Sort-Object |
            Should -Be 'InferenceBatch.Core.dll', 'InferenceBatch.dll'
    }

    It 'contains the service' {
        foreach ($file in 'inference-batch.dll', 'inference-batch.runtimeconfig.json', 'inference-batch.deps.json') {
            Join-Path $ModuleFolder bin server $file | Should -Exist
        }
    }

    It 'declares the output of each cmdlet' {
        foreach ($command in $module.ExportedCommands.Values) {
            $command.OutputType | Should -Not -BeNullOrEmpty -Because "$($command.Name) has an OutputType"
        }
    }
}

Describe 'The cmdlets' {
    BeforeDiscovery {
        $named = (Import-PowerShellDataFile -LiteralPath (Join-Path $PSScriptRoot ../../InferenceBatch.psd1)).CmdletsToExport | ForEach-Object { @{ Name = $_ } }
    }

    Context '<Name>' -ForEach $named {
        BeforeAll {
            $command = Get-Command $Name -Module $module.Name
            $own = $command.Parameters.Values | Where-Object { $_.Name -notin [System.Management.Automation.PSCmdlet]::CommonParameters -and $_.Name -notin [System.Management.Automation.PSCmdlet]::OptionalCommonParameters }
        }

        It 'accepts durations in seconds, with an alias that ends in Sec' {
            foreach ($parameter in $own | Where-Object { $_.ParameterType -in [double], [Nullable[double]] -and $_.Name -notin 'Temperature', 'TopP', 'InputPrice', 'OutputPrice' }) {
                $parameter.Aliases | Should -Contain "$($parameter.Name)Sec"
            }
        }

        It 'supports -WhatIf if it changes something or costs money, and only then' {
            $asks = $Name -in 'Send-BatchFile', 'Save-BatchFile', 'Remove-BatchFile', 'Export-BatchFile', 'New-Batch', 'Stop-Batch', 'Invoke-Batch', 'Start-BatchServer', 'Stop-BatchServer'
            $command.Parameters.ContainsKey('WhatIf') | Should -Be $asks
        }

        It 'accepts one parameter by value from the pipeline in each parameter set' {
            foreach ($set in $command.ParameterSets) {
                @($set.Parameters | Where-Object ValueFromPipeline).Count | Should -BeLessOrEqual 1 -Because "of the set $($set.Name)"
            }
        }

        It 'has -LiteralPath, without wildcards and with the alias PSPath, if it reads files from the pipeline' {
            if ($command.Parameters.ContainsKey('LiteralPath')) {
                $command.Parameters['LiteralPath'].Aliases | Should -Contain 'PSPath'
            }
            elseif ($command.Parameters['Path'].Attributes.ValueFromPipeline) {
                throw 'has -Path from the pipeline alone'
            }
        }

        It 'has a syntax and a synopsis' {
            $help = Get-Help $Name
            $help.Name | Should -Be $Name
            (Get-Command $Name -Syntax) | Should -Match "^\s*$Name"
            $help.Synopsis | Should -Not -BeNullOrEmpty
        }

        It 'returns typed objects that have a view' {
            foreach ($type in $command.OutputType.Type | Where-Object { $_ -and $_.Namespace -like 'InferenceBatch*' }) {
                Get-FormatData -TypeName $type.FullName -PowerShellVersion 7.4 | Should -Not -BeNullOrEmpty -Because "$type is what $Name gives"
            }
        }
    }

    It 'are those of the list' {
        $module.ExportedCommands.Keys | Sort-Object | Should -Be ($named = @(
                'Connect-BatchService', 'Disconnect-BatchService', 'Export-BatchFile', 'Get-Batch', 'Get-BatchConnection', 'Get-BatchFile'
                'Get-BatchResult', 'Get-BatchServer', 'Import-BatchFile', 'Invoke-Batch', 'Measure-BatchFile', 'Measure-BatchResult'
                'New-Batch', 'New-BatchRequest', 'Receive-BatchWebhook', 'Remove-BatchFile'
                'Save-BatchFile', 'Send-BatchFile', 'Start-BatchServer', 'Stop-Batch', 'Stop-BatchServer', 'Test-BatchFile', 'Wait-Batch'
            ) | Sort-Object)
    }
}

Describe 'A whole run' {
    BeforeAll {
        . $PSScriptRoot/Service.ps1
        $server = Start-TestService
        $run = @'
$prompts = 'eins', 'zwei', 'größer'
$results = $prompts | New-BatchRequest -Model echo -Temperature 0.5 | Send-BatchFile | New-Batch | Wait-Batch -PollingInterval 0.25 | Get-BatchResult
$batch = Get-Batch -First 1
@($results.Count; ($results.Text | Sort-Object) -join ','; $batch.CreatedAt.ToUnixTimeSeconds() -gt 1700000000; (Wait-Batch $batch -TimeoutSec 1.5).Status
  (New-BatchRequest x -Model m -Temperature 0.5).Body -match '"temperature":0.5') -join '|'
($batch | Out-String -Width 80) + ($results | Out-String -Width 80) + (Get-BatchServer | Out-String -Width 80) + (Get-BatchConnection | Out-String -Width 80)
'@
    }

    AfterAll { Stop-TestServices }

    It 'shows a key in no error, verbose or debug text, and no object: <Status>' -ForEach @{ Status = 200 }, @{ Status = 401 }, @{ Status = 403 }, @{ Status = 500 } {
        $faults = [FaultServer]::new()
        $secret = 'sk-secret-4711-planted'
        try {
            foreach ($method in 'GET', 'POST', 'DELETE') {
                $faults.On("$method /", @($Status -eq 200 ? (New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'o1' })) : (New-Refusal $Status)))
            }
            $faults.On('GET /v1/files/', @($Status -eq 200 ? (New-Answer (New-WireLine 'request-1')) : (New-Refusal $Status)))
            if ($Status -eq 200) {
                foreach ($list in 'batches', 'files') { $faults.On("GET /v1/$list`?", @(New-Answer @{ data = @(New-WireBatch 'b1'); has_more = $false })) }
                $faults.On('GET /v1/files/f1', @(New-Answer @{ id = 'f1' }))
                $faults.On('GET /v1/files/f1/content', @(New-Answer (New-WireLine 'request-1')))
            }
            $path = New-InputFile 1
            $Error.Clear()
            Connect-BatchService -BaseUri $faults.BaseUri -ApiKey $secret -Header @{ 'X-Token' = $secret }
            $calls = @(
                { Get-BatchConnection }, { Get-Batch b1 }, { Get-Batch -First 1 }, { Get-BatchFile }, { Get-BatchFile f1 }, { Send-BatchFile $path }, { New-Batch f1 }
                { Wait-Batch b1 -Timeout 0 }, { Get-BatchResult b1 }, { Save-BatchFile f1 (Join-Path $TestDrive "$Status.jsonl") }, { Remove-BatchFile f1 }, { Stop-Batch b1 }
                { 'x' | Invoke-Batch -Model m -Timeout 0 }
            )
            $said = foreach ($call in $calls) {
                try { & { $VerbosePreference = $DebugPreference = 'Continue'; & $call } *>&1 } catch { $_ }
            }
            $faults.Calls.Count | Should -BeGreaterOrEqual ($calls.Count - 1)
            $faults.Calls | ForEach-Object { $_.Headers['Authorization'] | Should -Be "Bearer $secret" }
            $all = (@($said) + @($Error) + @($Error.Exception)) | Format-List * -Force | Out-String -Width 1000
            $all.Length | Should -BeGreaterThan 500
            $all | Should -Not -Match $secret
        }
        finally {
            $faults.Dispose()
            Connect-BatchService -BaseUri $server.Uri
        }
    }

    It 'masks a secret that a service repeats: <Name>' -ForEach @(
        @{ Name = 'the key'; Echo = '{0}' }
        @{ Name = 'the start of the key'; Echo = '{1}' }
        @{ Name = 'a header'; Echo = '{2}' }
        @{ Name = 'the key in a URL'; Echo = 'https://example.org/?key={0}&x=1' }
    ) {
        $faults = [FaultServer]::new()
        $secret = "sk-proj-$([guid]::NewGuid().ToString('N'))"
        $token = "gw-$([guid]::NewGuid().ToString('N'))"
        $echo = $Echo -f $secret, $secret.Substring(0, 24), $token
        try {
            $line = New-WireLine 'request-1' -With @{ response = @{ status_code = 401; body = @{ error = @{ message = "Incorrect API key provided: $echo"; code = 'invalid_api_key' } } } }
            $good = New-WireLine 'request-2' "You sent $echo"
            $faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'o1'; note = $echo })))
            $faults.On('GET /v1/batches/b2', @(New-Answer (New-WireBatch 'b2' 'failed' @{ errors = @{ data = @(@{ code = 'bad'; message = "No: $echo"; line = 1 }) } })))
            $faults.On('GET /v1/batches/b3', @(New-Answer @{ error = @{ message = "Not with $echo"; code = 'scripted' } } -Status 400 -Header @{ 'x-request-id' = $echo }))
            $faults.On('GET /v1/files/o1/content', @(New-Answer "$line`n$good`n"))
            $faults.On('POST /v1/files', @(New-Refusal 422 "Key $echo"))
            $faults.On('GET /v1/models', @(New-Refusal 500 $echo))
            $Error.Clear()
            Connect-BatchService -BaseUri $faults.BaseUri -ApiKey $secret -Header @{ 'X-Gateway' = $token }
            $path = New-InputFile 1
            $prefix = "http://127.0.0.1:$(Get-FreePort)/hook/"
            $calls = @(
                { Get-Batch b1 }, { Get-Batch b2 | Wait-Batch }, { Get-Batch b3 }, { Get-BatchResult b1 }, { Get-BatchResult b1 -Request ('a', 'b' | New-BatchRequest -Model m) -Ordered }
                { Send-BatchFile $path }, { 'a' | Invoke-Batch -Model m }, { Wait-Batch b3 -Timeout 0 }, { Get-BatchResult b1 | Measure-BatchResult }
                {
                    $body = ConvertTo-Json @{ type = 'batch.failed'; data = @{ id = 'b1'; why = $echo } } -Compress
                    $job = Start-ThreadJob { 1..200 | ForEach-Object { try { Invoke-RestMethod $using:prefix -Method Post -Body $using:body; break } catch { Start-Sleep -Milliseconds 100 } } }
                    Receive-BatchWebhook $prefix -First 1 -Timeout 30
                    $job | Remove-Job -Force
                }
            )
            $said = foreach ($call in $calls) {
                try { & { $VerbosePreference = $DebugPreference = 'Continue'; & $call } *>&1 } catch { $_ }
            }
            $records = @($said | Where-Object { $_ -is [Management.Automation.ErrorRecord] }) + @($Error)
            $all = (@($said) + $records + @($records.Exception) + @($said.Error)) | Format-List * -Force | Out-String -Width 4000
            $all += $said | ConvertTo-Json -Depth 4 -WarningAction Ignore
            $all += $records | ForEach-Object { Get-Error -InputObject $_ } | Out-String -Width 4000
            $all | Should -Match ([regex]::Escape('***'))
            @($said | Where-Object { $_ -is [InferenceBatch.Model.BatchResult] }).Count | Should -Be 4
            @($said | Where-Object { $_ -is [InferenceBatch.Webhooks.WebhookEvent] }).Count | Should -Be 1
            foreach ($one in $secret, $token) {
                # Twelve consecutive characters would reveal it.
                for ($i = 0; $i -le $one.Length - 12; $i++) { $all.Contains($one.Substring($i, 12)) | Should -BeFalse -Because $one.Substring($i, 12) }
            }
        }
        finally {
            $faults.Dispose()
            Connect-BatchService -BaseUri $server.Uri
        }
    }

    It 'is the same under the culture <_>' -ForEach 'en_US.UTF-8', 'de_DE.UTF-8', 'tr_TR.UTF-8', 'C' {
        $child = Invoke-ChildShell $run @{ LANG = $_; LC_ALL = $_; INFERENCE_BASE_URL = "$($server.Uri)" }
        $child.Error | Should -BeNullOrEmpty
        ($child.Output -split '\r?\n')[0] | Should -Be '3|eins,größer,zwei|True|Completed|True'
    }

    It 'stays short if one output has objects of several types' {
        $child = Invoke-ChildShell "`$batch = 'x' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch | Wait-Batch; Get-Date; New-BatchRequest x -Model m; `$batch; `$batch | Get-BatchResult; Get-BatchFile | Select-Object -First 1" @{ INFERENCE_BASE_URL = "$($server.Uri)" }
        $child.Output | Should -Match 'Succeeded'
        $child.Output | Should -Not -MatchExactly 'Json'
    }

    It 'fits a window of 80 columns' {
        $child = Invoke-ChildShell $run @{ INFERENCE_BASE_URL = "$($server.Uri)" }
        $lines = $child.Output -split '\r?\n'
        $lines.Count | Should -BeGreaterThan 12
        $lines | ForEach-Object { $_.TrimEnd().Length | Should -BeLessOrEqual 80 -Because $_ }
        $child.Output | Should -Not -Match '…\s+Completed' -Because 'an id that is cut cannot be copied'
    }
}

Describe 'The example tickets' {
    BeforeAll {
        $tickets = Import-Csv -LiteralPath (Join-Path $root examples tickets.csv)
    }

    It 'are at least 60, each with its own ID' {
        $tickets.Count | Should -BeGreaterOrEqual 60
        ($tickets.Id | Sort-Object -Unique).Count | Should -Be $tickets.Count
    }

    It 'contain special cases: languages, emoji, quotes, line breaks, an empty body' {
        ($tickets.Language | Sort-Object -Unique).Count | Should -BeGreaterThan 5
        @($tickets | Where-Object Body -EQ '').Count | Should -Be 1
        $tickets.Body -match '[\ud83c-\ud83e]' | Should -Not -BeNullOrEmpty
        $tickets.Body -match '"' | Should -Not -BeNullOrEmpty
        $tickets.Body -match "`n" | Should -Not -BeNullOrEmpty
    }
}
