BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:faults = [FaultServer]::new()
    Connect-BatchService -BaseUri $faults.BaseUri

    function Get-Completion([string] $Line) { @((TabExpansion2 $Line $Line.Length).CompletionMatches) }

    # Reads batches with these IDs. The last one becomes the latest of the session.
    function Read-Batch([string[]] $Id, [string] $Status = 'completed', [hashtable] $With = @{}) {
        foreach ($one in $Id) {
            $faults.On('GET /v1/batches/', @(New-Answer (New-WireBatch $one $Status $With)))
            Get-Batch -Id $one
        }
    }
}

AfterAll {
    $faults.Dispose()
    Stop-TestServices
}

Describe 'Completion of batch IDs' {
    It 'offers the IDs of the session, the latest first, with the status as tooltip: <_>' -ForEach 'Get-Batch ', 'Get-Batch -Id ', 'Get-Batch -After ', 'Wait-Batch ', 'Wait-Batch -Id ', 'Stop-Batch ', 'Get-BatchResult ', 'Get-BatchResult -Id ' {
        $null = Read-Batch job_one in_progress @{ request_counts = @{ total = 1000; completed = 400; failed = 10 } }
        $null = Read-Batch job_two completed
        $found = Get-Completion "$($_)JOB_"
        $found.CompletionText | Should -Be 'job_two', 'job_one'
        $found[0].ToolTip | Should -Match '^completed'
        $found[1].ToolTip | Should -Match '^InProgress, 410 of 1.000 done$'
    }

    It 'shows the latest status' {
        $null = Read-Batch late_1 in_progress
        $null = Read-Batch late_1 failed
        $found = Get-Completion 'Get-Batch late'
        $found | Should -HaveCount 1
        $found.ToolTip | Should -Match '^failed'
    }

    It 'completes inside a list of IDs, and inside quotes' {
        $null = Read-Batch list_1, list_2
        (Get-Completion 'Get-Batch list_1,list_').CompletionText | Should -Contain 'list_2'
        (Get-Completion "Get-Batch 'list_2").CompletionText | Should -Be 'list_2'
        (Get-Completion 'Get-Batch "list_2').CompletionText | Should -Be 'list_2'
    }

    It 'accepts wildcards, and brackets that are not wildcards' {
        $null = Read-Batch 'wild-abc', 'wild-xyz', 'wild[0'
        (Get-Completion 'Get-Batch wild*y').CompletionText | Should -Be 'wild-xyz'
        (Get-Completion "Get-Batch 'wild[").CompletionText | Should -Be "'wild[0'"
    }

    It 'quotes an ID if needed, so that the command gets it unchanged: <_>' -ForEach '-starts-with-dash', 'has space', "has'quote", 'has"quote', 'has`tick', 'has$dollar', 'has;semi', "smart’quote", '–long-dash', 'größe' {
        $null = Read-Batch $_
        $text = (Get-Completion 'Get-Batch *')[0].CompletionText
        [scriptblock]::Create("Write-Output $text").Invoke() | Should -BeExactly $_
    }

    It 'completes an ID that contains a quote' {
        $null = Read-Batch "it's me"
        (Get-Completion "Get-Batch 'it''s").CompletionText | Should -Be "'it''s me'"
    }

    It 'offers no words with terminal control characters' {
        $faults.On('GET /v1/batches?', @(New-Answer @{ data = @((New-WireBatch "esc`e[31mred"), (New-WireBatch 'esc_plain' "odd`e[2J")); has_more = $false }))
        $null = Get-Batch
        $found = Get-Completion 'Get-Batch esc'
        $found.CompletionText | Should -Be 'esc_plain'
        $found.ToolTip | Should -Not -Match "`e"
    }

    It 'keeps the IDs that were used when a long list follows' {
        $null = Read-Batch mine_1
        $faults.On('GET /v1/batches?', @(New-Answer @{ data = @(1..80 | ForEach-Object { New-WireBatch "many_$_" }); has_more = $false }))
        $null = Get-Batch
        (Get-Completion 'Get-Batch *')[0].CompletionText | Should -Be 'mine_1'
    }
}

Describe 'Completion of file IDs' {
    BeforeAll {
        $null = Read-Batch made_1 completed @{ input_file_id = 'file-in'; output_file_id = 'file-out'; error_file_id = 'file-err' }
        $faults.On('GET /v1/files/', @(New-Answer @{ id = 'file-up'; filename = 'tickets.jsonl'; purpose = 'batch'; status = 'processed' }))
        $null = Get-BatchFile file-up
    }

    It 'offers all files for <_>' -ForEach 'Get-BatchFile', 'Save-BatchFile', 'Save-BatchFile -Id', 'Remove-BatchFile' {
        $found = Get-Completion "$_ file-"
        $found.CompletionText | Select-Object -First 2 | Should -Be 'file-out', 'file-err'
        $found.CompletionText | Should -Contain 'file-in'
        $found.Where({ $_.CompletionText -eq 'file-out' }).ToolTip | Should -Be 'output of made_1'
        $found.Where({ $_.CompletionText -eq 'file-up' }).ToolTip | Should -Be 'tickets.jsonl, processed'
    }

    It 'offers only input files for New-Batch' {
        foreach ($line in 'New-Batch file-', 'New-Batch -InputFileId file-') {
            (Get-Completion $line).CompletionText | Should -Contain 'file-up'
            (Get-Completion $line).CompletionText | Should -Not -Contain 'file-out'
        }
    }

    It 'does not offer a file that was removed' {
        $faults.On('DELETE /v1/files/', @(New-Answer @{ id = 'file-up'; deleted = $true }))
        Remove-BatchFile file-up -Confirm:$false
        (Get-Completion 'Get-BatchFile file-').CompletionText | Should -Not -Contain 'file-up'
    }
}

Describe 'Completion of fixed words' {
    It 'completes the statuses' {
        (Get-Completion 'Get-Batch -Status c').CompletionText | Should -Be 'Cancelled', 'Cancelling', 'Completed'
        (Get-Completion 'Get-Batch -Status Failed, EXP').CompletionText | Should -Be 'Expired'
        (Get-Completion 'Get-BatchResult b1 -Status m').CompletionText | Should -Be 'Missing'
    }

    It 'completes the providers, with their addresses' {
        $found = Get-Completion 'Connect-BatchService gro'
        $found.CompletionText | Should -Be 'Groq'
        $found.ToolTip | Should -Be 'https://api.groq.com/openai/v1'
        (Get-Completion 'Test-BatchFile a.jsonl -Provider openai').CompletionText | Should -Be 'OpenAI'
    }

    It 'completes the endpoints: <_>' -ForEach 'New-BatchRequest -Endpoint ', 'Invoke-Batch -Endpoint ', 'New-Batch -Endpoint ', 'Test-BatchFile -Endpoint ' {
        (Get-Completion $_).CompletionText | Should -Be '/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/moderations'
    }

    It 'completes the endpoints of the current service' {
        (Get-Completion 'New-Batch -BaseUri https://dashscope.aliyuncs.com/compatible-mode/v1 -Endpoint /v1/chat/d').CompletionText | Should -Be '/v1/chat/ds-test'
    }

    It 'completes the completion windows of the current service' {
        $found = Get-Completion 'New-Batch f1 -BaseUri https://api.groq.com/openai/v1 -CompletionWindow '
        $found.CompletionText | Should -Be '24h', '7d'
    }
}

Describe 'Completion of metadata' {
    It 'offers the keys of the session, each with its latest value: <_>' -ForEach 'New-Batch f1 -Metadata ', 'Invoke-Batch -Metadata ' {
        $null = Read-Batch meta_1 completed @{ metadata = [ordered]@{ project = 'alpha'; "team's name" = 'x' } }
        $null = Read-Batch meta_2 completed @{ metadata = @{ project = "o'beta" } }
        $found = Get-Completion "${_}pro"
        $found.ListItemText | Should -Be 'project'
        $found.ToolTip | Should -Be "o'beta"
        (& ([scriptblock]::Create($found.CompletionText))).project | Should -BeExactly "o'beta"
        (& ([scriptblock]::Create((Get-Completion "${_}team*").CompletionText)))["team's name"] | Should -BeExactly 'x'
    }
}

Describe 'Completion of models' {
    BeforeEach {
        $script:service = [FaultServer]::new()
        Connect-BatchService -BaseUri $service.BaseUri
    }

    AfterEach { $service.Dispose() }

    It 'offers the models of the session, then those of the service: <_>' -ForEach 'New-BatchRequest x -Model ', 'Invoke-Batch -Model ' {
        $service.On('GET /v1/models', @(New-Answer @{ object = 'list'; data = @(@{ id = 'served/one' }, @{ id = 'served/two:free' }) }))
        $null = New-BatchRequest x -Model 'seen-here'
        $line = $_
        Wait-Until { (Get-Completion $line)[-1].CompletionText -eq 'served/two:free' } 60 | Should -BeTrue
        $found = Get-Completion $line
        $found[0].CompletionText | Should -Be 'seen-here'
        $found.CompletionText | Select-Object -Last 2 | Should -Be 'served/one', 'served/two:free'
        $found[-1].ToolTip | Should -Match ([regex]::Escape($service.BaseUri))
        (Get-Completion "${line}*two").CompletionText | Should -Be 'served/two:free'
        $service.Calls.Count | Should -Be 1 -Because 'an answer holds for a while'
    }

    It 'offers the models of the local service' {
        $server = Start-TestService
        Wait-Until { (Get-Completion 'Invoke-Batch -Model ech').CompletionText -contains 'echo' } 60 | Should -BeTrue
        # Pester deletes its record with the part of TestDrive that belongs to this block.
        $server | Stop-BatchServer
    }

    It 'asks the service of the command, with its key' {
        $service.On('GET /v1/models', @(New-Answer @{ data = @(@{ id = 'elsewhere' }) }))
        Connect-BatchService -BaseUri $faults.BaseUri
        Wait-Until { (Get-Completion "Invoke-Batch -BaseUri $($service.BaseUri) -ApiKey some-key -Model else").CompletionText -eq 'elsewhere' } 60 | Should -BeTrue
        $service.Calls[0].Headers['Authorization'] | Should -Be 'Bearer some-key'
    }

    It 'sends no request while the service is not determined: <_>' -ForEach '-ApiKey (Get-Secret x)', '-Connection (Get-BatchConnection)', '-BaseUri ("http://" + $x)', '@unknown', '-BaseUri nonsense' {
        $env:INFERENCE_API_KEY = 'env-key'
        try { Get-Completion "Invoke-Batch $_ -Model zzz" | Should -BeNullOrEmpty }
        finally { Remove-Item Env:INFERENCE_API_KEY }
        $service.Calls | Should -BeNullOrEmpty
    }

    It 'waits a second for a service that hangs, once, and reports no error' {
        $service.On('GET /v1/models', @(New-Answer 'x' -StallAfter 0))
        $null = New-BatchRequest x -Model 'known-model'
        $Error.Clear()
        $clock = [Diagnostics.Stopwatch]::StartNew()
        (Get-Completion 'New-BatchRequest x -Model known-m').CompletionText | Should -Be 'known-model'
        $clock.Elapsed.TotalSeconds | Should -BeGreaterThan 0.89
        $clock.Elapsed.TotalSeconds | Should -BeLessThan 8 -Because 'the call behind it goes on for 10 seconds'
        1..5 | ForEach-Object { (Get-Completion 'New-BatchRequest x -Model known-m').CompletionText | Should -Be 'known-model' }
        $service.Calls.Count | Should -Be 1
        $Error | Should -BeNullOrEmpty
    }

    It 'reports no error for a service that <Case>' -ForEach @(
        @{ Case = 'responds with HTML'; Answer = { New-Answer '<html>' -ContentType 'text/html' } }
        @{ Case = 'responds with other JSON'; Answer = { New-Answer @(1, 'two', @{ id = 3 }) } }
        @{ Case = 'responds with empty and malicious names'; Answer = { New-Answer @{ data = @(@{ id = '' }, @{ id = $null }, @{ id = "bad`e[31m" }, @{ id = @{} }, 7) } } }
        @{ Case = 'responds with an empty body'; Answer = { New-Answer '' } }
        @{ Case = 'refuses the key'; Answer = { New-Refusal 401 } }
        @{ Case = 'is unavailable'; Answer = { New-Refusal 503 } }
        @{ Case = 'sends a partial response'; Answer = { New-Answer '{"data":[{"id":"m"}]}' -CutAfter 5 } }
        @{ Case = 'closes the connection'; Answer = { New-Answer -Drop } }
    ) {
        $service.On('GET /v1/models', @(& $Answer))
        $null = New-BatchRequest x -Model 'known-model'
        $Error.Clear()
        (Get-Completion 'New-BatchRequest x -Model *').CompletionText | Select-Object -First 1 | Should -Be 'known-model'
        $calls = $service.Calls.Count
        $calls | Should -BeGreaterThan 0
        (Get-Completion 'New-BatchRequest x -Model bad') | Should -BeNullOrEmpty
        $service.Calls.Count | Should -Be $calls -Because 'silence holds for a while too'
        $Error | Should -BeNullOrEmpty
    }

    It 'reports no error for a service that does not exist' {
        Connect-BatchService -BaseUri "http://127.0.0.1:$(Get-FreePort)/v1"
        $Error.Clear()
        Get-Completion 'New-BatchRequest x -Model no-such' | Should -BeNullOrEmpty
        $Error | Should -BeNullOrEmpty
    }

    It 'sends no request without a key' {
        Disconnect-BatchService
        $Error.Clear()
        Get-Completion 'New-BatchRequest x -Model no-such' | Should -BeNullOrEmpty
        $Error | Should -BeNullOrEmpty
    }
}
