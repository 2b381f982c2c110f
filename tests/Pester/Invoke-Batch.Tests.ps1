BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    # Makes the fault server create the next of these batches for each upload: ID, and answers by custom_id.
    function Set-Run([Collections.Specialized.OrderedDictionary] $Batches) {
        $Faults.On('POST /v1/files', @($Batches.Keys | ForEach-Object { New-Answer @{ id = "in-$_" } }))
        $Faults.On('POST /v1/batches', @($Batches.Keys | ForEach-Object { New-Answer (New-WireBatch $_ 'validating') }))
        foreach ($id in $Batches.Keys) {
            $lines = @($Batches[$id])
            $Faults.On("GET /v1/batches/$id", @(New-Answer (New-WireBatch $id 'completed' @{ output_file_id = "out-$id"; request_counts = @{ total = $lines.Count; completed = $lines.Count; failed = 0 } })))
            $Faults.On("GET /v1/files/out-$id/content", @(New-Answer (($lines -join "`n") + "`n")))
        }
    }
    # Runs with a checkpoint, kills the process at random times, and resumes. Five runs at a time.
    function Test-Killed([int] $Rounds) {
        $seed = $env:INFERENCE_BATCH_TEST_SEED ? [int]$env:INFERENCE_BATCH_TEST_SEED : (Get-Random -Maximum 1000000)
        Write-Host "seed $seed (INFERENCE_BATCH_TEST_SEED)"
        $random = [Random]::new($seed)
        $server = Start-TestService 'echo?latency=20ms'
        try {
            $rows = [string[]](1..60 | ForEach-Object { "row $_" })
            $killed = 0
            for ($done = 0; $done -lt $Rounds; $done += 5) {
                $runs = 1..5 | ForEach-Object {
                    $name = "$seed-$($done + $_)"
                    $path = Join-Path $TestDrive $name
                    $shell = Start-ChildShell "1..60 | ForEach-Object { 'row ' + `$_ } | Invoke-Batch -Model echo -BaseUri $($server.Uri) -CheckpointPath '$path' -Metadata @{ round = '$name' } | Out-Null"
                    @{ Name = $name; Path = $path; Shell = $shell; Until = $null; After = $random.Next(0, 2000) }
                }
                # The time starts at the first step of the run, because before it the shell only starts.
                while ($alive = @($runs | Where-Object { -not $_.Shell.HasExited })) {
                    foreach ($run in $alive) {
                        if (-not $run.Until -and [IO.File]::Exists("$($run.Path)/journal.jsonl")) { $run.Until = [datetime]::UtcNow.AddMilliseconds($run.After) }
                        if ($run.Until -and $run.Until -le [datetime]::UtcNow) { $run.Shell.Kill($true); $run.Until = [datetime]::MaxValue; $killed++ }
                    }
                    [Threading.Thread]::Sleep(2)
                }
                foreach ($run in $runs) {
                    $results = @($rows | Invoke-Batch -Model echo -BaseUri $server.Uri -CheckpointPath $run.Path -Metadata @{ round = $run.Name } -Ordered)
                    ($results.Text -join '|') | Should -BeExactly ($rows -join '|') -Because "seed $seed, $($run.Name)"
                    $made = @(Get-Batch | Where-Object { $_.Metadata['round'] -eq $run.Name })
                    $made.Count | Should -Be 1 -Because "seed $seed, $($run.Name)"
                    $made[0].RequestCounts.Total | Should -Be 60
                }
            }
            # Checks the requests to the service: one batch for each run, each line once, a file twice only if the process was killed before the response was on disk.
            $batches = @(Get-Batch)
            $uploads = @(Get-BatchFile | Where-Object Purpose -EQ batch).Count
            Write-Host "$killed of $Rounds were killed before their end; $uploads uploads, $($batches.Count) creates, $(($batches.RequestCounts.Total | Measure-Object -Sum).Sum) lines"
            $batches.Count | Should -Be $Rounds
            ($batches.RequestCounts.Total | Measure-Object -Sum).Sum | Should -Be (60 * $Rounds)
            $uploads | Should -BeLessOrEqual ($Rounds + $killed)
        }
        finally {
            $server | Stop-BatchServer
            Connect-BatchService -BaseUri $script:Server.Uri
        }
        $killed | Should -BeGreaterThan 0
    }
    function Get-Upload { $Faults.Calls | Where-Object { $_.Method -eq 'POST' -and $_.Path -eq '/v1/files' } }
    function New-Failure([string] $CustomId, [int] $Status) { New-WireLine $CustomId -With @{ response = @{ status_code = $Status; body = @{ error = @{ code = "c$Status"; message = 'no' } } } } }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Invoke-Batch' {
    BeforeEach { $Faults.Reset() }
    AfterEach { Get-Leftover | Should -BeNullOrEmpty }

    Context 'objects in, results out' {
        It 'returns one result for each object, with that object' {
            $rows = 1..25 | ForEach-Object { [pscustomobject]@{ Number = $_; Text = "Q $_" } }
            $results = $rows | Invoke-Batch -Prompt { $_.Text } -Model echo
            $results.Count | Should -Be 25
            $results | ForEach-Object { $_.Text | Should -Be "Q $($_.InputObject.Number)" }
            ($results.InputObject.Number | Sort-Object) | Should -Be (1..25)
        }

        It 'accepts strings, and returns results in order with -Ordered' {
            $results = 'c', 'a', 'b' | Invoke-Batch -Model echo -Ordered
            $results.Text | Should -Be 'c', 'a', 'b'
            $results.CustomId | Should -Be 'request-1', 'request-2', 'request-3'
            $results.InputObject | Should -Be 'c', 'a', 'b'
        }

        It 'sends requests unchanged' {
            $requests = 'x', 'y' | New-BatchRequest -Model echo
            ($requests | Invoke-Batch -Ordered).Text | Should -Be 'x', 'y'
        }

        It 'sends system prompts, parameters and metadata' {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' })
            'hello' | Invoke-Batch -Model m -SystemPrompt 'be kind' -MaxTokens 5 -Temperature 0 -Metadata @{ run = 'one' } -BaseUri $Faults.BaseUri | Out-Null
            $line = ([regex]'(?m)^\{"custom_id.*$').Match((Get-Upload)[0].Text).Value | ConvertFrom-Json
            $line.body.messages[0].content | Should -Be 'be kind'
            $line.body.max_tokens | Should -Be 5
            (($Faults.Calls | Where-Object { $_.Method -eq 'POST' -and $_.Path -eq '/v1/batches' }).Text | ConvertFrom-Json).metadata.run | Should -Be 'one'
        }

        It 'writes -MaxTokens for a reasoning model at <Provider> as <Field>' -ForEach @{ Provider = 'OpenAI'; Field = 'max_completion_tokens' }, @{ Provider = 'Local'; Field = 'max_tokens' } {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' })
            $connection = [InferenceBatch.Service.ServiceConnection]::new($Faults.BaseUri, [InferenceBatch.Service.ServiceProfile]::Find($Provider), 'k')
            'hello' | Invoke-Batch -Model gpt-5 -MaxTokens 5 -Connection $connection -WarningVariable warnings | Out-Null
            (Get-Upload)[0].Text | Should -BeLike "*`"$Field`":5}*"
            $warnings | Should -BeNullOrEmpty
        }

        It 'reads JSON answers into Value' {
            ('{"a":1}' | Invoke-Batch -Model echo).Value.a | Should -Be 1
        }

        It 'does nothing without input' {
            @() | Invoke-Batch -Model echo | Should -BeNullOrEmpty
        }
    }

    Context 'requests that every service refuses' {
        It 'ends before anything is sent if a parameter makes every request invalid: <Name>' -ForEach @(
            @{ Name = 'a truncated schema'; Parameters = @{ ResponseSchema = '{"type":"object","properties":"System.Collections.Hashtable"}' }; Says = '*-Depth*' }
            @{ Name = 'truncated content'; Parameters = @{ Message = '{"role":"user","content":["System.Collections.Hashtable"]}' }; Says = '*-Depth*' }
            @{ Name = 'messages that are not a list'; Parameters = @{ Body = @{ messages = 'x' } }; Says = "*'body.messages'*" }
            @{ Name = 'a message without a role'; Parameters = @{ Message = @{ content = 'x' } }; Says = '*role*' }
        ) {
            $before = @(Get-Batch).Count
            $problem = $null
            try { $null = 'a', 'b' | Invoke-Batch -Model echo @Parameters } catch { $problem = $_ }
            Get-ErrorId $problem | Should -BeExactly 'InvalidValue'
            "$problem" | Should -BeLike $Says
            @(Get-Batch).Count | Should -Be $before
        }

        It 'leaves out requests from the pipeline, and sends the others' {
            $requests = @(New-BatchRequest a -Model echo -CustomId a), @(New-BatchRequest b -Model echo -CustomId b -Body @{ messages = @() }), @(New-BatchRequest c -Model echo -CustomId c) | ForEach-Object { $_ }
            $results = @($requests | Invoke-Batch -Ordered -ErrorVariable failures -ErrorAction SilentlyContinue -WarningAction SilentlyContinue)
            $results.CustomId | Should -Be 'a', 'c'
            "$failures" | Should -BeLike "The request 'b'*must not be empty*"
        }
    }

    Context 'several endpoints' {
        It 'creates a batch for each endpoint, and returns every result in the order of the rows' {
            $requests = 1..7 | ForEach-Object { New-BatchRequest "text $_" -Model echo -CustomId "r$_" -Endpoint ($_ % 3 ? 'chat' : 'completions') }
            $before = @(Get-Batch).Count
            $results = @($requests | Invoke-Batch -Ordered)
            $results.CustomId | Should -Be (1..7 | ForEach-Object { "r$_" })
            $results.Text | Should -Be (1..7 | ForEach-Object { "text $_" })
            $batches = @(Get-Batch -First (@(Get-Batch).Count - $before))
            $batches.Endpoint | Sort-Object | Should -Be '/v1/chat/completions', '/v1/completions'
            $batches.RequestCounts.Total | Sort-Object | Should -Be 2, 5
        }
    }

    Context 'retries' {
        It 'retries only requests that failed for a temporary reason, up to -MaxAttempts' {
            Set-Run ([ordered]@{
                    b1 = (New-WireLine 'request-1'), (New-Failure 'request-2' 500), (New-Failure 'request-3' 429)
                    b2 = (New-WireLine 'request-2' 'second try'), (New-Failure 'request-3' 429)
                    b3 = New-Failure 'request-3' 429
                })
            $results = 'a', 'b', 'c' | Invoke-Batch -Model m -Ordered -BaseUri $Faults.BaseUri
            $results.Status | Should -Be 'Succeeded', 'Succeeded', 'Failed'
            $results[1].Text | Should -Be 'second try'
            $results[1].InputObject | Should -Be 'b'
            $results[2].StatusCode | Should -Be 429
            $uploads = Get-Upload
            $uploads.Count | Should -Be 3
            $uploads | ForEach-Object { ([regex]'"custom_id"').Matches($_.Text).Count } | Should -Be 3, 2, 1
        }

        It 'sends once with -MaxAttempts 1' {
            Set-Run ([ordered]@{ b1 = New-Failure 'request-1' 500 })
            ('a' | Invoke-Batch -Model m -MaxAttempts 1 -BaseUri $Faults.BaseUri).Status | Should -Be 'Failed'
            @(Get-Upload).Count | Should -Be 1
        }

        It 'retries requests without a result, which are Missing in the end' {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1'; b2 = New-WireLine 'stranger' })
            $results = 'a', 'b' | Invoke-Batch -Model m -MaxAttempts 2 -Ordered -BaseUri $Faults.BaseUri -WarningAction SilentlyContinue
            $results.Status | Should -Be 'Succeeded', 'Missing'
            @(Get-Upload).Count | Should -Be 2
        }

        It 'returns the rows of one file if the other cannot be read: <Status>' -ForEach @{ Status = 403 }, @{ Status = 410 }, @{ Status = 500 } {
            Set-Run ([ordered]@{ b1 = @() })
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'bad'; error_file_id = 'good'; request_counts = @{ total = 2; completed = 1; failed = 1 } })))
            $Faults.On('GET /v1/files/bad/content', @(New-Refusal $Status))
            $Faults.On('GET /v1/files/good/content', @(New-Answer (New-WireLine 'request-2' -With @{ response = $null; error = @{ code = 'bad'; message = 'no' } })))
            $results = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -Ordered -ErrorAction SilentlyContinue -ErrorVariable problem -WarningAction SilentlyContinue
            $results.Status | Should -Be 'Missing', 'Failed'
            $results[0].Error.Code | Should -Be 'result_unavailable'
            $results[0].Error.Message | Should -Match "$Status"
            @($problem).Count | Should -Be 1
            @($Faults.Calls | Where-Object { "$_" -eq 'POST /v1/files' }).Count | Should -Be 1
        }

        It 'returns every row, with a warning, if a second file that is not needed cannot be read: <Status>' -ForEach @{ Status = 404 }, @{ Status = 403 }, @{ Status = 500 } {
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1'), (New-WireLine 'request-2') })
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'out-b1'; error_file_id = 'bad'; request_counts = @{ total = 2; completed = 2; failed = 0 } })))
            $Faults.On('GET /v1/files/bad/content', @(New-Refusal $Status))
            $results = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -ErrorAction Stop -WarningAction SilentlyContinue -WarningVariable said
            $results.Status | Should -Be 'Succeeded', 'Succeeded'
            "$said" | Should -Match 'b1 cannot be read'
        }

        It 'sends a batch once if its file is named and appears late' {
            $counts = @{ total = 1; completed = 1; failed = 0 }
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' })
            $Faults.On('GET /v1/batches/b1', @((New-Refusal 404), (New-Answer (New-WireBatch 'b1' 'completed' @{ request_counts = $counts })), (New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'out-b1'; request_counts = $counts }))))
            $Faults.On('GET /v1/files/out-b1/content', @((New-Refusal 404), (New-Answer (New-WireLine 'request-1'))))
            ('a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -ErrorAction Stop).Status | Should -Be 'Succeeded'
            @($Faults.Calls | Where-Object { "$_" -eq 'POST /v1/files' }).Count | Should -Be 1
        }

        It 'does not retry requests that would fail again: <_>' -ForEach 400, 401, 404, 422 {
            Set-Run ([ordered]@{ b1 = New-Failure 'request-1' $_ })
            ('a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri).StatusCode | Should -Be $_
            @(Get-Upload).Count | Should -Be 1
        }

        It 'answers every row with an unreliable model' {
            $service = Start-TestService 'echo?fail=0.3&seed=7' @{ MAX_ATTEMPTS = '1' }
            try {
                $results = [string[]](1..40) | Invoke-Batch -Model echo -MaxAttempts 12 -Ordered
                $results.Text | Should -Be ([string[]](1..40))
            }
            finally {
                $service | Stop-BatchServer
                Connect-BatchService -BaseUri $Server.Uri
            }
        }
    }

    Context 'the summary' {
        It 'adds up outcomes, tokens and cost, counts a shared answer once, and is only in the information stream' {
            $lines = (New-WireLine 'request-1' 'one'), (New-Failure 'request-2' 400)
            Set-Run ([ordered]@{ b1 = $lines })
            $results = 'a', 'b', 'a' | Invoke-Batch -Model m -Deduplicate -InputPrice 1000000 -OutputPrice 2000000 -BaseUri $Faults.BaseUri -InformationVariable said
            $results.Count | Should -Be 3
            $said.Count | Should -Be 1
            $said[0].Tags | Should -Be 'BatchRunSummary'
            $summary = $said[0].MessageData
            $summary | Should -BeOfType InferenceBatch.Runs.BatchRunSummary
            $summary.Rows, $summary.Requests, $summary.Rounds, $summary.Unanswered | Should -Be 3, 2, 1, 0
            $summary.BatchIds | Should -Be 'b1'
            $summary.Results.Succeeded, $summary.Results.Failed | Should -Be 2, 1
            $summary.Results.Failures[0].Code | Should -Be 'c400'
            $answer = $results | Where-Object Status -EQ Succeeded | Select-Object -First 1
            $summary.Results.TotalTokens | Should -Be $answer.TotalTokens
            $summary.Results.Cost | Should -Be ($answer.PromptTokens + 2 * $answer.CompletionTokens)
            $summary.Elapsed | Should -BeGreaterThan 0
        }

        It 'warns about rows without an answer, also if the summary is not shown' {
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1' 'one'), (New-Failure 'request-2' 400) })
            $null = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -WarningVariable warned -WarningAction SilentlyContinue
            $warned | Should -Be '1 of 2 rows has no answer: 1 failed.'
        }

        It 'says that nothing was sent if an earlier start did everything' {
            $checkpoint = Join-Path $TestDrive 'done before'
            $null = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $checkpoint -InformationVariable first
            $null = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $checkpoint -InformationVariable second
            $first[0].MessageData.BatchesCreated, $second[0].MessageData.BatchesCreated | Should -Be 1, 0
            @([InferenceBatch.Views.SummaryText]::Lines($second[0].MessageData))[1] | Should -Match 'nothing was sent now$'
        }

        It 'shows each figure on its own line' {
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1' 'one'), (New-Failure 'request-2' 400) })
            $null = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -InformationVariable said
            $lines = @([InferenceBatch.Views.SummaryText]::Lines($said[0].MessageData))
            $lines[0] | Should -Be '2 rows: 1 succeeded, 1 failed'
            $lines[1] | Should -Be '  1 × c400: no'
            $lines[2] | Should -Match '^2 requests, 1 batch, 1 round, \d+\.\d s$'
        }

        It 'shows the status with its phrase if the service gives no code' {
            $failure = @{ status_code = 404; body = @{ detail = 'Not Found' } }
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1' -With @{ response = $failure }), (New-WireLine 'request-2' -With @{ response = $failure }) })
            $null = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -InformationVariable said -WarningAction SilentlyContinue
            "$($said[0])" | Should -BeLike '0 of 2 rows succeeded, 2 failed (2 × 404 Not Found); *'
            @([InferenceBatch.Views.SummaryText]::Lines($said[0].MessageData))[1] | Should -Be '  2 × 404 Not Found'
        }

        It 'counts the rows that were left out, also if there are no others' {
            $rows = 'a', 'b', 'a', $null | ForEach-Object { [pscustomobject]@{ Id = $_; Body = $_ } }
            $null = $rows | Invoke-Batch -Model echo -CustomId { $_.Id } -Prompt { $_.Body } -InformationVariable said -WarningVariable warned -WarningAction SilentlyContinue -ErrorAction SilentlyContinue
            $said[0].MessageData.Rows, $said[0].MessageData.LeftOut, $said[0].MessageData.Unanswered | Should -Be 4, 2, 0
            "$($said[0])" | Should -BeLike '2 of 4 rows succeeded, 2 left out; 1 batch, *'
            @([InferenceBatch.Views.SummaryText]::Lines($said[0].MessageData))[0] | Should -Be '4 rows: 2 succeeded, 2 left out'
            $warned[-1] | Should -Be '2 of 4 rows have no answer: 2 left out.'
            $null = $rows | Invoke-Batch -Model echo -Prompt { $_.Text } -InformationVariable said -WarningAction SilentlyContinue -ErrorAction SilentlyContinue
            @([InferenceBatch.Views.SummaryText]::Lines($said[0].MessageData)) | Should -Be '4 rows: 0 succeeded, 4 left out', 'Nothing was sent.'
        }

        It 'has one line for a log with what failed and why' {
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1' 'one'), (New-Failure 'request-2' 400) })
            $null = 'a', 'b' | Invoke-Batch -Model m -ResponseSchema @{ type = 'object' } -BaseUri $Faults.BaseUri -InformationVariable said -WarningAction SilentlyContinue
            "$($said[0])" | Should -BeLike '1 of 2 rows succeeded, 1 failed (1 × c400); 1 not the JSON asked for; 1 batch, *'
        }

        It 'counts rows whose batch has not ended as without a result' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-1' }))
            $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $null = 'a', 'b' | Invoke-Batch -Model m -TimeoutSec 0.5 -BaseUri $Faults.BaseUri -InformationVariable said -ErrorAction SilentlyContinue
            $said[0].MessageData.Unanswered | Should -Be 2
        }
    }

    Context '-WhatIf' {
        It 'sends nothing, and leaves nothing behind' {
            'a', 'b' | Invoke-Batch -Model m -WhatIf -BaseUri $Faults.BaseUri | Should -BeNullOrEmpty
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'mentions a bill if there may be one' {
            $shell = Invoke-ChildShell @"
'a' | Invoke-Batch -Model m -WhatIf -BaseUri $($Server.Uri)
'a', 'b' | Invoke-Batch -Model m -WhatIf -BaseUri https://host.example/v1 -ApiKey k
New-Batch file-1 -WhatIf -BaseUri $($Server.Uri)
New-Batch file-1 -WhatIf -BaseUri https://host.example/v1 -ApiKey k
"@
            $said = @($shell.Output -split '\r?\n' | Where-Object { $_ })
            $said[0] | Should -Match '"Run a batch" on target "1 request to '
            $said[1] | Should -Match '"Run a batch, which is billed" on target "2 requests to '
            $said[2] | Should -Match '"Create a batch, which starts at once" on target '
            $said[3] | Should -Match '"Create a batch, which starts at once and is billed" on target '
        }
    }

    Context 'many rows' {
        It 'handles a million rows in 300 MB, as does the service' -Tag Long -Skip:(-not $IsLinux) {
            function Get-Peak([int] $Id) { [long]@((Get-Content "/proc/$Id/status") -match '^VmHWM' -replace '\D')[0] / 1024 }
            $service = Start-TestService
            $shell = Start-ChildShell @"
`$right = 0
1..1000000 | Invoke-Batch -Model echo -Prompt { "row `$_" } -BaseUri $($service.Uri) | ForEach-Object { if (`$_.Text -eq "row `$(`$_.InputObject)") { `$right++ } }
"`$right"
[Console]::Out.Flush()
`$null = [Console]::In.ReadLine()
"@ -KeepInput
            try {
                $shell.StandardOutput.ReadLine() | Should -Be 1000000
                $peaks = (Get-Peak $shell.Id), (Get-Peak $service.ProcessId)
                Write-Host "peak resident memory: PowerShell $('{0:N0}' -f $peaks[0]) MB, the service $('{0:N0}' -f $peaks[1]) MB"
                $peaks[0] | Should -BeLessOrEqual 300
                $peaks[1] | Should -BeLessOrEqual 300
            }
            finally {
                $shell.Kill($true)
                $service | Stop-BatchServer
                Connect-BatchService -BaseUri $Server.Uri
            }
        }
    }

    Context 'bad input' {
        It 'warns once about parameters that cannot change a finished request' {
            $requests = 'a', 'b' | New-BatchRequest -Model echo
            $results = $requests | Invoke-Batch -Model other -MaxTokens 3 -Ordered -WarningVariable warned -WarningAction SilentlyContinue
            "$warned" | Should -BeExactly 'Objects that are already requests are sent unchanged: -Model, -MaxTokens do not apply to them.'
            $results[0].Request.Body | Should -Be $requests[0].Body
            $null = $requests | Invoke-Batch -MaxAttempts 1 -WarningVariable warned
            $warned | Should -BeNullOrEmpty
        }

        It 'reports PromptMissing for an object without the property, names it, and answers the others' {
            $rows = [pscustomobject]@{ Text = 'one' }, [pscustomobject]@{ Other = 'x' }, [pscustomobject]@{ Text = 'three' }
            $results = $rows | Invoke-Batch -Prompt { $_.Text } -Model echo -Ordered -ErrorAction SilentlyContinue -ErrorVariable problem
            $results.Text | Should -Be 'one', 'three'
            $results.InputObject | Should -Be $rows[0, 2]
            $problem.Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be 'PromptMissing'
            $problem[0].TargetObject | Should -Be $rows[1]
        }

        It 'reports DuplicateCustomId for a row with a repeated custom_id, and runs the others' {
            $rows = 'a', 'b', 'a' | ForEach-Object { [pscustomobject]@{ CustomId = $_; Prompt = "P$_" } }
            $results = $rows | Invoke-Batch -Model echo -Ordered -ErrorAction SilentlyContinue -ErrorVariable problem
            $results.CustomId | Should -Be 'a', 'b'
            Get-ErrorId $problem[0] | Should -Be 'DuplicateCustomId'
            $problem[0].TargetObject | Should -Be $rows[2]
        }

        It 'warns if a text is the name of a column' {
            $rows = [pscustomobject]@{ Body = 'one'; Id = 'x' }, [pscustomobject]@{ Body = 'two'; Id = 'y' }
            $null = $rows | New-BatchRequest -Model m -Prompt Body -WarningVariable warned -WarningAction SilentlyContinue
            $warned.Count | Should -Be 1
            "$warned" | Should -Match '-Prompt \{ \$_\.Body \}'
            $null = [pscustomobject]@{ "Kunde's Text" = 'x' } | New-BatchRequest -Model m -Prompt "Kunde's Text" -WarningVariable warned -WarningAction SilentlyContinue
            "$warned" | Should -BeLike "*-Prompt { `$_.'Kunde''s Text' }" -Because 'it is there to be copied'
            $null = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -WarningVariable warned
            $warned | Should -BeNullOrEmpty
        }

        It 'warns once about a misspelled ID column, and lists the columns if the prompt is missing' {
            $rows = 1..3 | ForEach-Object { [pscustomobject]@{ Body = "$_"; Id = "id-$_" } }
            $requests = $rows | New-BatchRequest -Model m -Prompt { $_.Body } -CustomId { $_.Idd } -WarningVariable warned -WarningAction SilentlyContinue
            $requests.CustomId | Should -Be 'request-1', 'request-2', 'request-3'
            $warned.Count | Should -Be 1
            "$($warned[0])" | Should -Match 'empty custom_id'
            $null = $rows | New-BatchRequest -Model m -Prompt { $_.Bodi } -ErrorAction SilentlyContinue -ErrorVariable problem
            "$($problem[0])" | Should -Match 'Its properties: Body, Id\. .*Did you mean Body\?$'
        }

        It 'reports ModelMissing without a model, and sends nothing' {
            Get-ErrorId (Get-ErrorOf { 'a' | Invoke-Batch -BaseUri $Faults.BaseUri }) | Should -Be 'ModelMissing'
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'reports BatchFailed if the service refuses the model, and every object has a result' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-1' }))
            $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'failed' @{ errors = @{ data = @(@{ code = 'model_not_found'; message = 'No such model.'; line = 1 }) } })))
            $results = 'a', 'b' | Invoke-Batch -Model nonsense -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem
            $results.Status | Should -Be 'Failed', 'Failed'
            $results.InputObject | Should -Be 'a', 'b'
            $results[0].Error.Code | Should -Be 'model_not_found'
            Get-ErrorId $problem[0] | Should -Be 'BatchFailed'
            "$($problem[0])" | Should -Match 'model_not_found'
            @(Get-Upload).Count | Should -Be 1
        }

        It 'reports Unauthorized for a wrong key, and retries nothing' {
            $Faults.On('POST /v1/files', @(New-Refusal 401))
            $secret = 'sk-secret-4711-invoke'
            $problem = @(Get-ErrorOf { 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -ApiKey $secret })
            Get-ErrorId $problem[0] | Should -Be 'Unauthorized'
            @(Get-Upload).Count | Should -Be 1
            $problem | Format-List * -Force | Out-String -Width 500 | Should -Not -Match $secret
        }

        It 'ends with <Id> and without results if <Route> responds with <Status>' -ForEach @(
            @{ Status = 401; Route = 'POST /v1/files'; Id = 'Unauthorized' }
            @{ Status = 403; Route = 'POST /v1/files'; Id = 'PermissionDenied' }
            @{ Status = 401; Route = 'POST /v1/batches'; Id = 'Unauthorized' }
            @{ Status = 403; Route = 'POST /v1/batches'; Id = 'PermissionDenied' }
            @{ Status = 401; Route = 'GET /v1/batches/b1'; Id = 'Unauthorized' }
            @{ Status = 401; Route = 'GET /v1/files/out-b1/content'; Id = 'Unauthorized' }
        ) {
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1') })
            $Faults.On($Route, @(New-Refusal $Status))
            $results = @()
            $problem = Get-Failure { 'a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -OutVariable results -WarningVariable warned -WarningAction SilentlyContinue -ErrorAction SilentlyContinue }
            Get-ErrorId $problem | Should -Be $Id
            $results | Should -BeNullOrEmpty
        }

        It 'returns the results so far before the error, and resumes the checkpoint with the right key' {
            $checkpoint = Join-Path $TestDrive 'expired key'
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1'), (New-Failure 'request-2' 500); b2 = (New-WireLine 'request-2') })
            $Faults.On('GET /v1/batches/b2', @((New-Refusal 401), (New-Answer (New-WireBatch 'b2' 'completed' @{ output_file_id = 'out-b2'; request_counts = @{ total = 1; completed = 1; failed = 0 } }))))
            $given = @()
            $failure = $null
            try { 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $checkpoint -WarningVariable warned -WarningAction SilentlyContinue | ForEach-Object { $given += $_ } }
            catch { $failure = $_ }
            Get-ErrorId $failure | Should -Be 'Unauthorized'
            $given.CustomId | Should -Be 'request-1'
            "$warned" | Should -Match 'run the same command again'
            $results = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $checkpoint -Ordered
            $results.Status | Should -Be 'Succeeded', 'Succeeded'
            @(Get-Upload).Count | Should -Be 2
        }
    }

    Context 'a service that is full or unavailable' {
        It 'retries what was refused because the queue is full, and says what it waits for' {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' })
            $Faults.On('POST /v1/batches', @((New-Refusal 429 'Enqueued token limit reached for m.' 'token_limit_exceeded'), (New-Answer (New-WireBatch 'b1' 'validating'))))
            $result = 'a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -WarningVariable warned -WarningAction SilentlyContinue
            $result.Status | Should -Be 'Succeeded'
            "$warned" | Should -BeLike "*1 batch waits for room in the queue of the service: Enqueued token limit reached for m*"
            @(Get-Upload).Count | Should -Be 1
        }

        It 'ends the wait for a full queue at -Timeout: not_sent, and one error' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-1' }))
            $Faults.On('POST /v1/batches', @(New-Refusal 429 'Enqueued token limit reached for m.' 'token_limit_exceeded'))
            $results = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -Timeout 1 -ErrorAction SilentlyContinue -ErrorVariable problem -WarningAction SilentlyContinue
            $results.Error.Code | Should -Be 'not_sent', 'not_sent'
            $problem.Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be 'RateLimited'
        }

        It 'waits for an unavailable service as long as -Timeout allows' {
            $Faults.On('POST /v1/files', @(New-Answer '' 503))
            $results = 'a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -Timeout 2 -ErrorAction SilentlyContinue -ErrorVariable problem -WarningAction SilentlyContinue
            $results.Error.Code | Should -Be 'not_sent'
            Get-ErrorId $problem[0] | Should -Be 'ServiceUnavailable'
            @(Get-Upload).Count | Should -BeGreaterThan 5
        }

        It 'handles broken connections during the upload and the create' {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' })
            $Faults.On('POST /v1/files', @((1..8 | ForEach-Object { New-Answer -Drop }) + (New-Answer @{ id = 'in-b1' })))
            ('a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -WarningAction SilentlyContinue).Status | Should -Be 'Succeeded'
            @(Get-Upload).Count | Should -Be 9
        }

        It 'uploads a file again that the service has deleted' {
            $checkpoint = Join-Path $TestDrive 'deleted file'
            $Faults.On('POST /v1/files', @((New-Answer @{ id = 'in-1' }), (New-Answer @{ id = 'in-2' })))
            $Faults.On('POST /v1/batches', @((New-Refusal 400 'no'), (New-Refusal 404 "No such File object: in-1" 'not_found'), (New-Answer (New-WireBatch 'b1' 'validating'))))
            $Faults.On('GET /v1/batches', @(New-Answer @{ data = @(); has_more = $false }))
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'out-b1' })))
            $Faults.On('GET /v1/files/out-b1/content', @(New-Answer ((New-WireLine 'request-1') + "`n")))
            ('a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $checkpoint -ErrorAction SilentlyContinue -WarningAction SilentlyContinue -WarningVariable warned).Error.Code | Should -Be 'not_sent'
            "$warned" | Should -BeLike '*To send the 1 row that was not sent, run the same command again.'
            "$warned" | Should -Not -Match '-RetryFailed'
            ('a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $checkpoint).Status | Should -Be 'Succeeded'
            @(Get-Upload).Count | Should -Be 2
            ($Faults.Calls | Where-Object { $_.Method -eq 'POST' -and $_.Path -eq '/v1/batches' } | Select-Object -Last 1).Text | Should -Match '"in-2"'
        }
    }

    Context '-MaxFailed' {
        It 'rejects <_>: ParameterArgumentTransformationError, which says what is expected' -ForEach '-1', '1.5', '101%', '-5%', '%', 'five', '5%%', ' ' {
            $value = $_
            $problem = Get-Failure { 'a' | Invoke-Batch -Model m -MaxFailed $value -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'ParameterArgumentTransformationError'
            "$problem" | Should -BeLike "*a number of failures such as 20, or a percentage from 0% to 100% such as '5%'*"
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'accepts <_>' -ForEach 1, 20, '20', '5%', ' 5 % ', 3.0, '0.5%' {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' })
            ('a' | Invoke-Batch -Model m -MaxFailed $_ -BaseUri $Faults.BaseUri).Status | Should -Be 'Succeeded'
        }

        It 'accepts 5% without quotes' {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' })
            ('a' | Invoke-Batch -Model m -MaxFailed 5% -BaseUri $Faults.BaseUri).Status | Should -Be 'Succeeded'
        }

        It 'cancels open batches with a warning, returns a result for every row, and can be resumed' {
            $checkpoint = Join-Path $TestDrive 'max failed'
            Set-Run ([ordered]@{ b1 = (New-Failure 'request-1' 500), (New-Failure 'request-2' 400), (New-WireLine 'request-3'); b2 = New-WireLine 'request-1' })
            $results = 'a', 'b', 'c' | Invoke-Batch -Model m -MaxFailed 1 -CheckpointPath $checkpoint -BaseUri $Faults.BaseUri -Ordered -WarningVariable warned -WarningAction SilentlyContinue -InformationVariable said
            $results.StatusCode | Should -Be 500, 400, 200
            @(Get-Upload).Count | Should -Be 1 -Because 'nothing is sent again'
            $said[0].MessageData.IsStopped | Should -BeTrue
            $warned[0] | Should -BeLike 'The run stops early because 1 of 2 results has failed (-MaxFailed 1)*'
            @([InferenceBatch.Views.SummaryText]::Lines($said[0].MessageData)) | Should -Contain 'Stopped early: -MaxFailed was reached.'
            # The same command resumes. Failures before the stop no longer count.
            $results = 'a', 'b', 'c' | Invoke-Batch -Model m -MaxFailed 1 -CheckpointPath $checkpoint -BaseUri $Faults.BaseUri -Ordered -WarningAction SilentlyContinue
            $results.StatusCode | Should -Be 200, 400, 200
            @(Get-Upload).Count | Should -Be 2
        }
    }

    Context 'failures with one cause' {
        It 'warns when the first 20 results all failed with one cause' {
            Set-Run ([ordered]@{ b1 = 1..25 | ForEach-Object { New-Failure "request-$_" 404 } })
            $null = [string[]](1..25) | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -WarningVariable warned -WarningAction SilentlyContinue
            $warned.Count | Should -Be 2
            $warned[0] | Should -BeLike 'The first 20 results all failed with c404: no*'
        }
    }

    Context '-Timeout' {
        It 'reports WaitTimeout with the command that resumes the wait' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-1' }))
            $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $problem = Get-ErrorOf { 'a' | Invoke-Batch -Model m -TimeoutSec 0.5 -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'WaitTimeout'
            $problem.TargetObject.Id | Should -Be 'b1'
            "$problem" | Should -Match "Wait-Batch -Id 'b1'"
            @(Get-Upload).Count | Should -Be 1
        }

        It 'returns the rows of batches that ended, and says how to get the others, <Name>' -ForEach @(
            @{ Name = 'without a checkpoint'; With = @{}; Problem = "*To wait for it and read its results: Wait-Batch -Id 'b2' | Get-BatchResult"; Warning = '1 of 2 rows has no answer: 1 still open.' }
            @{ Name = 'with a checkpoint'; With = @{ CheckpointPath = 'TestDrive:/timed' }; Problem = '*run the same command again: it resumes the run from the checkpoint *'; Warning = '1 of 2 rows has no answer: 1 still open. To resume the run and get the 1 row that is not finished, run the same command again.' }
            @{ Name = 'in order'; With = @{ CheckpointPath = 'TestDrive:/timed in order'; Ordered = $true }; Problem = '*run the same command again: *'; Warning = '*To resume the run and get the 1 row that is not finished, run the same command again.' }
        ) {
            $lines = [ordered]@{ b1 = New-WireLine 'request-1'; b2 = New-WireLine 'request-2' }
            Set-Run $lines
            $Faults.On('GET /v1/batches/b2', @(New-Answer (New-WireBatch 'b2' 'in_progress')))
            # Requests for two endpoints need two batches.
            $requests = @('a' | New-BatchRequest -Model m -CustomId 'request-1'; 'b' | New-BatchRequest -Model m -CustomId 'request-2' -Endpoint /v1/completions)
            $results = $requests | Invoke-Batch -BaseUri $Faults.BaseUri -Timeout 2 @With -ErrorAction SilentlyContinue -ErrorVariable problem -WarningAction SilentlyContinue -WarningVariable warned
            $results.CustomId | Should -Be 'request-1'
            $problem.Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be 'WaitTimeout'
            "$($problem[0])" | Should -BeLike $Problem
            $warned[-1] | Should -BeLike $Warning
            if ($With.Count) {
                $Faults.On('GET /v1/batches/b2', @(New-Answer (New-WireBatch 'b2' 'completed' @{ output_file_id = 'out-b2' })))
                ($requests | Invoke-Batch -BaseUri $Faults.BaseUri -Timeout 2 @With).CustomId | Sort-Object | Should -Be 'request-1', 'request-2'
                @(Get-Upload).Count | Should -Be 2
            }
        }

        It 'is no limit if it is infinite: <_>' -ForEach ([double]::MaxValue), ([double]::PositiveInfinity), ([timespan]::MaxValue) {
            ('a' | Invoke-Batch -Model echo -Timeout $_ -BaseUri $Server.Uri -ErrorAction Stop).Text | Should -Be 'a'
        }
    }

    Context 'secrets' {
        It 'shows the key in no verbose text, error or result' {
            Set-Run ([ordered]@{ b1 = New-Failure 'request-1' 400 })
            $secret = 'sk-secret-4711-verbose'
            $all = 'a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -ApiKey $secret -Verbose -Debug -Confirm:$false -WarningAction Continue *>&1
            $Faults.Calls[0].Headers['Authorization'] | Should -Be "Bearer $secret"
            ($all | Format-List * -Force | Out-String -Width 500) | Should -Not -Match $secret
        }
    }

    Context 'when a downstream command stops' {
        It 'returns, and leaves nothing behind' {
            ([string[]](1..20) | Invoke-Batch -Model echo | Select-Object -First 1).Text | Should -Not -BeNullOrEmpty
        }
    }

    Context 'Ctrl+C' -Skip:$IsWindows {
        It 'ends at once, names the batches that continue, and leaves no temporary files' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-1' }))
            $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $shell = Start-ChildShell "'a', 'b' | Invoke-Batch -Model m -BaseUri $($Faults.BaseUri)"
            try {
                Wait-Until { ($Faults.Calls | Where-Object Path -EQ '/v1/batches/b1').Count -gt 1 } 60 | Should -BeTrue
                kill -INT $shell.Id
                $shell.WaitForExit(10000) | Should -BeTrue
                $text = $shell.StandardOutput.ReadToEnd() + $shell.StandardError.ReadToEnd()
                ($text -replace '\s+', ' ') | Should -Match "Wait-Batch -Id 'b1'"
            }
            finally { if (-not $shell.HasExited) { $shell.Kill() } }
        }
    }

    Context '-Deduplicate' {
        It 'sends equal requests once and returns the answer for each row, in order' {
            $rows = 'a', 'b', 'a', 'c', 'b' | ForEach-Object { [pscustomobject]@{ Text = $_ } }
            $results = $rows | Invoke-Batch -Model echo -Prompt { $_.Text } -Deduplicate -Ordered
            $results.Text -join '' | Should -Be 'abacb'
            $results.CustomId -join ' ' | Should -Be 'request-1 request-2 request-3 request-4 request-5'
            0..4 | ForEach-Object { $results[$_].InputObject | Should -Be $rows[$_] }
            (Get-Batch -First 1).RequestCounts.Total | Should -Be 3
        }

        It 'names both rows with the same custom_id, counting copies' {
            $rows = @('a', 'x'), @('b', 'x'), @('c', 'y'), @('b', 'z') | ForEach-Object { [pscustomobject]@{ CustomId = $_[0]; Prompt = $_[1] } }
            $results = $rows | Invoke-Batch -Model echo -Deduplicate -Ordered -ErrorAction SilentlyContinue -ErrorVariable problem
            $results.CustomId -join '' | Should -Be 'abc'
            "$($problem[0])" | Should -Match "Request 4 was left out because request 2 already has the custom_id 'b'"
        }
    }

    Context '-CheckpointPath' {
        BeforeEach { $script:Checkpoint = Join-Path $TestDrive "checkpoint $([guid]::NewGuid().ToString('N').Substring(0, 6))" }

        It 'returns all results of a finished run again, at no cost' {
            $first = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint -Ordered
            $batches = @(Get-Batch).Count
            $again = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint -Ordered
            $again.Json | Should -Be $first.Json
            @(Get-Batch).Count | Should -Be $batches
        }

        It 'reports CheckpointMismatch for <Case>, and sends nothing' -ForEach @(
            @{ Case = 'other rows'; Rows = 'a', 'x'; More = @{} }
            @{ Case = 'more rows'; Rows = 'a', 'b', 'c'; More = @{} }
            @{ Case = 'fewer rows'; Rows = @('a'); More = @{} }
            @{ Case = 'another model'; Rows = 'a', 'b'; More = @{ Model = 'other' } }
            @{ Case = 'another prompt'; Rows = 'a', 'b'; More = @{ SystemPrompt = 's' } }
            @{ Case = 'another address'; Rows = 'a', 'b'; More = @{ BaseUri = 'http://127.0.0.1:9/v1' } }
        ) {
            $null = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint
            $batches = @(Get-Batch).Count
            $problem = Get-ErrorOf { $given = @{ Model = 'echo' } + @{}; foreach ($name in $More.Keys) { $given[$name] = $More[$name] }; $Rows | Invoke-Batch @given -CheckpointPath $Checkpoint }
            Get-ErrorId $problem[0] | Should -Be 'CheckpointMismatch'
            @(Get-Batch).Count | Should -Be $batches
        }

        It 'resumes at its local service in a shell without a connection, never at a service that bills' {
            $null = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint
            $shell = Invoke-ChildShell "('a', 'b' | Invoke-Batch -Model echo -CheckpointPath '$Checkpoint').Count"
            $shell.Output.Trim() | Should -Be 2
            $shell = Invoke-ChildShell "'a', 'b' | Invoke-Batch -Model echo -CheckpointPath '$Checkpoint'" @{ INFERENCE_BASE_URL = 'http://127.0.0.1:9/v1' }
            ($shell.Output + $shell.Error) -replace '[\s|]+', ' ' | Should -Match ([regex]::Escape("-BaseUri $($Server.Uri)"))
        }

        It 'resumes at a local service that has another port after a restart, in this shell and in one without a connection' {
            $data = Join-Path $TestDrive "moved-$([guid]::NewGuid().ToString('N').Substring(0, 6))"
            $first = Start-BatchServer 'echo?latency=60s' -DataPath $data -WarningAction Stop
            try {
                $null = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint -Timeout 1 -ErrorAction SilentlyContinue -WarningAction SilentlyContinue
                $first | Stop-BatchServer
                # Another program uses the port now. It must get no prompt and no key.
                $stranger = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, $first.Uri.Port)
                $stranger.Start()
                $second = Start-BatchServer echo -DataPath $data
                $second.Uri | Should -Not -Be $first.Uri
                $shell = Invoke-ChildShell "('a', 'b' | Invoke-Batch -Model echo -CheckpointPath '$Checkpoint' -Ordered).Text -join ''"
                $shell.Error | Should -BeNullOrEmpty
                $shell.Output.Trim() | Should -Be 'ab'
                ('a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint -Ordered).Text -join '' | Should -Be 'ab'
                @(Get-Batch -BaseUri $second.Uri).Count | Should -Be 1
            }
            finally {
                if ($stranger) { $stranger.Stop() }
                Get-BatchServer | Where-Object DataPath -EQ $data | Stop-BatchServer
                Connect-BatchService -BaseUri $Server.Uri
            }
        }

        It 'sends nothing to another program on the port of its local service, and says how to start the service: <Case>' -ForEach @(
            @{ Case = 'a service of another data folder'; IsService = $true }
            @{ Case = 'something else'; IsService = $false }
        ) {
            $data = Join-Path $TestDrive "gone-$([guid]::NewGuid().ToString('N').Substring(0, 6))"
            $first = Start-BatchServer echo -DataPath $data
            $other = $null
            try {
                $null = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint
                $first | Stop-BatchServer
                if ($IsService) { $other = Start-BatchServer echo -DataPath "$data-2" -Port $first.Uri.Port }
                else {
                    $other = [Net.HttpListener]::new()
                    $other.Prefixes.Add("http://127.0.0.1:$($first.Uri.Port)/")
                    $other.Start()
                    $asked = [Collections.Generic.List[string]]::new()
                    $answer = Start-ThreadJob {
                        $listener = $using:other
                        $calls = $using:asked
                        while ($listener.IsListening) {
                            try { $context = $listener.GetContext() } catch { return }
                            $calls.Add("$($context.Request.HttpMethod) $($context.Request.Url.AbsolutePath) $($context.Request.Headers['Authorization'])".Trim())
                            $context.Response.StatusCode = 404
                            $context.Response.Close()
                        }
                    }
                }
                foreach ($script in { 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint }, { Disconnect-BatchService; 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint }) {
                    Connect-BatchService -BaseUri $first.Uri -ApiKey 'sk-secret-4711-checkpoint'
                    $problem = Get-ErrorOf $script
                    Get-ErrorId $problem[0] | Should -Be 'CheckpointMismatch'
                    "$($problem[0])" | Should -Match ([regex]::Escape("Start-BatchServer -DataPath '$data'"))
                }
                if ($IsService) { Get-Batch -BaseUri $other.Uri | Should -BeNullOrEmpty }
                else { $asked | Sort-Object -Unique | Should -Be 'GET /v1/healthz' }
            }
            finally {
                if ($other -is [Net.HttpListener]) { $other.Stop(); $null = $answer | Wait-Job -Timeout 10; $answer | Remove-Job -Force }
                elseif ($other) { $other | Stop-BatchServer }
                Connect-BatchService -BaseUri $Server.Uri
            }
        }

        It 'reports that equal rows were sent once before, but would not be now' {
            $null = 'a', 'b', 'a', 'c' | Invoke-Batch -Model echo -Deduplicate -CheckpointPath $Checkpoint
            $problem = (Get-ErrorOf { 'a', 'b', 'a', 'c' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint })[0]
            Get-ErrorId $problem | Should -Be 'CheckpointMismatch'
            "$problem" | Should -BeLike '*The run was started with -Deduplicate, which changes the requests. Use -Deduplicate again.'
            'a', 'b', 'a', 'c' | Invoke-Batch -Model echo -Deduplicate -CheckpointPath $Checkpoint | Should -HaveCount 4
        }

        It '-RetryFailed sends only the failed rows again, and the final warning mentions it' {
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1'), (New-Failure 'request-2' 401); b2 = (New-WireLine 'request-2' 'now') })
            $null = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $Checkpoint -WarningVariable warned -WarningAction SilentlyContinue
            $warned | Should -Be '1 of 2 rows has no answer: 1 failed. To send again only the rows that failed, expired or are missing, run the same command with -RetryFailed.'
            $results = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $Checkpoint -RetryFailed -Ordered -WarningVariable warned
            $results.Status | Should -Be 'Succeeded', 'Succeeded'
            $results[1].Text | Should -Be 'now'
            $warned | Should -BeNullOrEmpty
            $uploads = Get-Upload
            $uploads.Count | Should -Be 2
            $uploads[1].Text | Should -Match '"custom_id":"request-2"'
            $uploads[1].Text | Should -Not -Match '"custom_id":"request-1"'
            ('a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $Checkpoint -Ordered).Text | Should -Be 'answer to request-1', 'now'
            @(Get-Upload).Count | Should -Be 2
        }

        It 'warns before -RetryFailed about rows that may be paid for twice' {
            Set-Run ([ordered]@{ b1 = (New-WireLine 'request-1'), (New-WireLine 'request-2') })
            $Faults.On('GET /v1/files/out-b1/content', @(New-Refusal 410 'Deleted.'))
            $null = 'a', 'b' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $Checkpoint -WarningVariable warned -WarningAction SilentlyContinue -ErrorAction SilentlyContinue
            $warned[-1] | Should -BeLike '2 of 2 rows have no answer: 2 missing. To send again only *, run the same command with -RetryFailed. 2 rows may already have been answered and billed (result_unavailable, batch_not_found). With -RetryFailed, you may pay for them twice. Without -RetryFailed, the same command reads *'
        }

        It 'counts only its own results for the early warning after -RetryFailed' {
            $good = 1..5 | ForEach-Object { New-WireLine "request-$_" }
            $bad = 6..25 | ForEach-Object { New-Failure "request-$_" 404 }
            Set-Run ([ordered]@{ b1 = @($good) + $bad; b2 = $bad })
            $run = @{ Model = 'm'; BaseUri = $Faults.BaseUri; CheckpointPath = $Checkpoint; WarningAction = 'SilentlyContinue' }
            $null = [string[]](1..25) | Invoke-Batch @run -WarningVariable first
            $null = [string[]](1..25) | Invoke-Batch @run -RetryFailed -WarningVariable again
            $first -match '^The first 20' | Should -BeNullOrEmpty
            $again[0] | Should -BeLike 'The first 20 results of this command (without those already in the checkpoint) all failed with c404: no*'
        }

        It 'reports InvalidValue for -RetryFailed without a checkpoint' {
            $problem = Get-Failure { 'a' | Invoke-Batch -Model m -RetryFailed -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'InvalidValue'
            "$problem" | Should -Match '-CheckpointPath'
        }

        It 'never retries a row that failed with <Code>' -ForEach @(
            @{ Code = 'insufficient_quota'; Status = 429 }, @{ Code = 'billing_hard_limit_reached'; Status = 429 }, @{ Code = 'invalid_api_key'; Status = 500 }, @{ Code = 'permission_denied'; Status = 403 }
        ) {
            Set-Run ([ordered]@{ b1 = New-WireLine 'request-1' -With @{ response = @{ status_code = $Status; body = @{ error = @{ code = $Code; message = 'no' } } } } })
            ('a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -WarningAction SilentlyContinue).Error.Code | Should -Be $Code
            @(Get-Upload).Count | Should -Be 1
        }

        It 'reports CheckpointMismatch for a folder with other content' {
            $null = New-Item -ItemType Directory $Checkpoint
            Set-Content (Join-Path $Checkpoint thesis.txt) text
            Get-ErrorId (Get-ErrorOf { 'a' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint })[0] | Should -Be 'CheckpointMismatch'
            Get-ChildItem $Checkpoint | ForEach-Object Name | Should -Be 'thesis.txt'
        }

        It 'reports CheckpointMismatch for a file, and says that a folder is expected' {
            Set-Content $Checkpoint text
            $problem = @(Get-ErrorOf { 'a' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint })[0]
            Get-ErrorId $problem | Should -Be 'CheckpointMismatch'
            "$problem" | Should -BeLike '*is a file. Use a folder as -CheckpointPath*'
            Get-Content $Checkpoint | Should -Be 'text'
        }

        It 'reports CheckpointInUse if another process uses it' {
            $held = [InferenceBatch.Runs.RunStore]::Open($Checkpoint)
            try {
                $problem = (Get-ErrorOf { 'a' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint })[0]
                Get-ErrorId $problem | Should -Be 'CheckpointInUse'
                "$problem" | Should -BeLike "*by process $PID on $([Environment]::MachineName), started $([Diagnostics.Process]::GetCurrentProcess().StartTime.ToString('yyyy-MM-dd HH:mm', [cultureinfo]::InvariantCulture))*"
            }
            finally { $held.Dispose() }
        }

        It 'names the process that uses it, and ignores the lock of a killed process' -Skip:$IsWindows {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-1' }))
            $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $shell = Start-ChildShell "'a' | Invoke-Batch -Model m -BaseUri $($Faults.BaseUri) -CheckpointPath '$Checkpoint'"
            Wait-Until { $Faults.Calls | Where-Object Path -EQ '/v1/batches/b1' } 60 | Should -BeTrue
            $problem = (Get-ErrorOf { 'a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $Checkpoint })[0]
            Get-ErrorId $problem | Should -Be 'CheckpointInUse'
            "$problem" | Should -BeLike "*by process $($shell.Id) on *, started $($shell.StartTime.ToString('yyyy-MM-dd HH:', [cultureinfo]::InvariantCulture))*"
            $shell.Kill($true)
            $shell.WaitForExit()
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'out-b1' })))
            $Faults.On('GET /v1/files/out-b1/content', @(New-Answer ((New-WireLine 'request-1') + "`n")))
            ('a' | Invoke-Batch -Model m -BaseUri $Faults.BaseUri -CheckpointPath $Checkpoint).Status | Should -Be 'Succeeded'
        }

        It 'deletes the temporary files of a killed run at the next start' -Skip:$IsWindows {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-1' }))
            $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $shell = Start-ChildShell "'a', 'b' | Invoke-Batch -Model m -Ordered -BaseUri $($Faults.BaseUri)"
            Wait-Until { $Faults.Calls | Where-Object Path -EQ '/v1/batches/b1' } 60 | Should -BeTrue
            Get-Leftover | Should -HaveCount 1
            $null = 'x' | Invoke-Batch -Model echo
            Get-Leftover | Should -HaveCount 1 -Because 'its process runs'
            $shell.Kill($true)
            $shell.WaitForExit()
            $null = 'x' | Invoke-Batch -Model echo
            Get-Leftover | Should -BeNullOrEmpty
        }

        It 'reports CheckpointMismatch for no rows if the checkpoint has some' {
            $null = 'a', 'b' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint
            Get-ErrorId (Get-ErrorOf { @() | Invoke-Batch -Model echo -CheckpointPath $Checkpoint })[0] | Should -Be 'CheckpointMismatch'
        }

        It 'creates nothing if $WhatIfPreference is set, also in an existing folder' {
            & { $WhatIfPreference = $true; 'a' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint }
            $Checkpoint | Should -Not -Exist
            $null = New-Item -ItemType Directory $Checkpoint
            'a' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint -WhatIf
            Get-ChildItem -Force $Checkpoint | Should -BeNullOrEmpty
        }

        It 'creates nothing with -WhatIf' {
            'a' | Invoke-Batch -Model echo -CheckpointPath $Checkpoint -WhatIf | Should -BeNullOrEmpty
            $Checkpoint | Should -Not -Exist
        }

        It 'resumes after a SIGKILL at any time: one batch, every line once (20 rounds)' -Skip:$IsWindows {
            Test-Killed 20
        }

        It 'resumes after a SIGKILL at any time (200 rounds)' -Tag Long -Skip:$IsWindows {
            Test-Killed 200
        }
    }
}
