BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService 'echo?latency=300ms'
    $script:Faults = [FaultServer]::new()
    $script:File = Send-BatchFile (New-InputFile 2)
    # Makes a batch run for this number of polls, then end; with 0 it never ends.
    function Set-Batch([string] $Id, [int] $Looks = 1, [string] $End = 'completed', [hashtable] $With = @{}) {
        $answers = if ($Looks -eq 0) { @(New-Answer (New-WireBatch $Id 'in_progress')) } else { @(1..$Looks | ForEach-Object { New-Answer (New-WireBatch $Id 'in_progress') }) + @(New-Answer (New-WireBatch $Id $End $With)) }
        $Faults.On("GET /v1/batches/$Id", $answers)
    }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Wait-Batch' {
    BeforeEach { $Faults.Reset() }

    Context 'binding' {
        It 'waits for the batch from New-Batch' {
            $batch = $File | New-Batch | Wait-Batch
            $batch.Status | Should -Be 'Completed'
            $batch.RequestCounts.Completed | Should -Be 2
        }

        It 'accepts IDs as argument, from the pipeline, and by property name' {
            $made = 1..3 | ForEach-Object { $File | New-Batch }
            (Wait-Batch $made[0].Id).Id | Should -Be $made[0].Id
            ($made[1].Id | Wait-Batch).Id | Should -Be $made[1].Id
            ([pscustomobject]@{ BatchId = $made[2].Id } | Wait-Batch).Id | Should -Be $made[2].Id
        }

        It 'sends no request for a batch that is known to have ended' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1')))
            $batch = Get-Batch b1 -BaseUri $Faults.BaseUri
            $Faults.Reset()
            ($batch | Wait-Batch).Id | Should -Be 'b1'
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'waits once for a batch that is given twice' {
            Set-Batch b1
            @(Wait-Batch b1, b1 -BaseUri $Faults.BaseUri -PollingInterval 0.05).Count | Should -Be 1
        }

        It 'does nothing without input' {
            @() | Wait-Batch | Should -BeNullOrEmpty
        }
    }

    Context 'many together' {
        It 'returns each batch as it ends, not in input order' {
            Set-Batch slow -Looks 12
            Set-Batch quick -Looks 2
            (Wait-Batch slow, quick -BaseUri $Faults.BaseUri -PollingInterval 0.05).Id | Should -Be 'quick', 'slow'
        }

        It 'returns the first batch while others still run' {
            Set-Batch never -Looks 0
            Set-Batch quick
            $clock = [Diagnostics.Stopwatch]::StartNew()
            (Wait-Batch never, quick -BaseUri $Faults.BaseUri -PollingInterval 0.05 | Select-Object -First 1).Id | Should -Be 'quick'
            $clock.Elapsed.TotalSeconds | Should -BeLessThan 10
            $after = $Faults.Calls.Count
            [Threading.Thread]::Sleep(200)
            $Faults.Calls.Count | Should -Be $after
        }

        It 'returns after the first with -Any, without an error for the others' {
            Set-Batch never -Looks 0
            Set-Batch quick
            (Wait-Batch never, quick -Any -BaseUri $Faults.BaseUri -PollingInterval 0.05 -ErrorAction Stop).Id | Should -Be 'quick'
        }

        It 'waits for fifty batches of the real service' {
            $made = 1..50 | ForEach-Object { $File | New-Batch }
            $ended = $made | Wait-Batch
            $ended.Count | Should -Be 50
            $ended.Status | Select-Object -Unique | Should -Be 'Completed'
        }

        It 'polls each batch at its service' {
            $other = [FaultServer]::new()
            try {
                Set-Batch here -Looks 2
                $other.On('GET /v1/batches/there', @((New-Answer (New-WireBatch 'there' 'in_progress')), (New-Answer (New-WireBatch 'there' 'in_progress')), (New-Answer (New-WireBatch 'there'))))
                $batches = @(Get-Batch here -BaseUri $Faults.BaseUri -ApiKey here-key) + @(Get-Batch there -BaseUri $other.BaseUri -ApiKey there-key)
                ($batches | Wait-Batch -PollingInterval 0.05 -ErrorAction Stop).Id | Sort-Object | Should -Be 'here', 'there'
                $other.Calls | ForEach-Object { $_.Headers['Authorization'] } | Select-Object -Unique | Should -Be 'Bearer there-key'
                $Faults.Calls | ForEach-Object { $_.Headers['Authorization'] } | Select-Object -Unique | Should -Be 'Bearer here-key'
            }
            finally { $other.Dispose() }
        }
    }

    Context 'polling' {
        It 'polls within a second, and at most six times in five' {
            Set-Batch b1 -Looks 4
            Wait-Batch b1 -BaseUri $Faults.BaseUri | Out-Null
            $times = $Faults.Calls.At
            ($times[1] - $times[0]).TotalSeconds | Should -BeLessThan 1
            $Faults.Calls.Count | Should -Be 5
            ($times[4] - $times[0]).TotalSeconds | Should -BeGreaterThan 1.5
        }

        It 'accepts -PollingInterval as seconds, also fractions and time spans: <Value>' -ForEach @{ Value = 0.2 }, @{ Value = '0.2' }, @{ Value = [timespan]::FromSeconds(0.2) } {
            Set-Batch b1 -Looks 3
            Wait-Batch b1 -BaseUri $Faults.BaseUri -PollingInterval $Value | Out-Null
            $times = $Faults.Calls.At
            ($times[3] - $times[0]).TotalSeconds | Should -BeGreaterThan 0.5
        }

        It 'rejects a value that is not a duration: <_>' -ForEach '-1', 'soon', 0, ([double]::NaN) {
            { Wait-Batch b1 -PollingInterval $_ -BaseUri $Faults.BaseUri } | Should -Throw
            $Faults.Calls | Should -BeNullOrEmpty
        }
    }

    Context 'failures during the wait' {
        It 'continues after <Name>' -ForEach @(
            @{ Name = '429'; Trouble = { New-Refusal 429 } }
            @{ Name = '500'; Trouble = { New-Refusal 500 } }
            @{ Name = '503 with HTML'; Trouble = { New-Answer '<html></html>' 503 -ContentType 'text/html' } }
            @{ Name = 'dropped connections'; Trouble = { New-Answer -Drop } }
            @{ Name = 'a truncated response'; Trouble = { New-Answer (New-WireBatch 'b1') -CutAfter 20 } }
        ) {
            # Eight in a row: more than the retries of an interactive call.
            $Faults.On('GET /v1/batches/b1', @(1..8 | ForEach-Object { & $Trouble }) + @(New-Answer (New-WireBatch 'b1')))
            (Wait-Batch b1 -BaseUri $Faults.BaseUri -PollingInterval 0.05 -ErrorAction Stop).Status | Should -Be 'Completed'
            $Faults.Calls.Count | Should -Be 9
        }

        It 'gives up only a batch with a permanent error: <Status> is <Id>' -ForEach @(
            @{ Status = 401; Id = 'Unauthorized' }
            @{ Status = 403; Id = 'PermissionDenied' }
            @{ Status = 404; Id = 'BatchNotFound' }
        ) {
            $Faults.On('GET /v1/batches/bad', @(New-Refusal $Status))
            Set-Batch good -Looks 3
            $ended = Wait-Batch bad, good -BaseUri $Faults.BaseUri -PollingInterval 0.05 -ErrorAction SilentlyContinue -ErrorVariable problem
            $ended.Id | Should -Be 'good'
            $problem.Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be $Id
            $problem[0].TargetObject | Should -Be 'bad'
        }

        It 'does not give up an existing batch because of a 404: <Known>' -ForEach @{ Known = 'an object' }, @{ Known = 'seen in this wait' } {
            $running = New-Answer (New-WireBatch 'b1' 'in_progress')
            $Faults.On('GET /v1/batches/b1', @($running, (New-Refusal 404), (New-Answer '<html></html>' 404 -ContentType 'text/html'), (New-Answer (New-WireBatch 'b1'))))
            $of = $Known -eq 'an object' ? (Get-Batch b1 -BaseUri $Faults.BaseUri) : 'b1'
            $ended = $of | Wait-Batch -BaseUri $Faults.BaseUri -PollingInterval 0.05 -ErrorAction Stop
            $ended.Status | Should -Be 'Completed'
        }

        It 'returns a batch that failed like any other, and BatchFailed lists the line errors of the service once' {
            $errors = @{ data = @(@{ code = 'duplicate_custom_id'; message = 'Twice.'; line = 7 }, @{ code = 'invalid_url'; message = 'Wrong.'; line = 9 }) }
            Set-Batch b1 -End failed -With @{ errors = $errors }
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'failed' @{ errors = $errors })))
            $batch = Wait-Batch b1 -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem
            $batch.Status | Should -Be 'Failed'
            $problem.Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be 'BatchFailed'
            $problem[0].CategoryInfo.Category | Should -Be 'InvalidResult'
            $problem[0].TargetObject.Id | Should -Be 'b1'
            "$($problem[0])" | Should -Match 'duplicate_custom_id' -Because 'the codes are the service''s'
            "$($problem[0])" | Should -Match '7'
            "$($problem[0])" | Should -Match 'invalid_url'
        }

        It 'reports an invalid file of the real service with its line' {
            $path = Join-Path $TestDrive bad.jsonl
            (Get-Content (New-InputFile 2))[0], '{"custom_id":"x"}' | Set-Content $path
            $batch = Send-BatchFile $path -SkipValidation | New-Batch | Wait-Batch -ErrorAction SilentlyContinue -ErrorVariable problem
            $batch.Status | Should -Be 'Failed'
            $batch.Errors[0].Line | Should -Be 2
            Get-ErrorId $problem[0] | Should -Be 'BatchFailed'
        }
    }

    Context '-Timeout' {
        It 'is an error for each batch that still runs, with the command that resumes the wait' {
            Set-Batch b1 -Looks 0
            Set-Batch "b'2" -Looks 0
            $Faults.On("GET /v1/batches/b%272", @(New-Answer (New-WireBatch "b'2" 'in_progress')))
            Set-Batch quick
            $clock = [Diagnostics.Stopwatch]::StartNew()
            $ended = Wait-Batch b1, "b'2", quick -TimeoutSec 1 -PollingInterval 0.05 -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem
            $clock.Elapsed.TotalSeconds | Should -BeLessThan 8
            $ended.Id | Should -Be 'quick'
            $problem.Count | Should -Be 2
            Get-ErrorId $problem[0] | Should -Be 'WaitTimeout'
            $problem[0].CategoryInfo.Category | Should -Be 'OperationTimeout'
            $problem.TargetObject.Id | Sort-Object | Should -Be "b'2", 'b1'
            ($problem -match "Wait-Batch -Id 'b1'").Count | Should -Be 1
            "$($problem -match "'b1'")" | Should -Match '^The batch b1 is still InProgress after 1 second\. '
            ($problem -match "Wait-Batch -Id 'b''2'").Count | Should -Be 1
        }

        It 'is an error for each batch with -Any, if none ended' {
            Set-Batch b1 -Looks 0
            Wait-Batch b1 -Any -Timeout 0.3 -PollingInterval 0.05 -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem | Should -BeNullOrEmpty
            $problem.Count | Should -Be 1
            "$problem" | Should -Match ([regex]::Escape("after $(0.3) seconds"))
        }

        It 'of <Name> is no limit' -ForEach @(
            @{ Name = 'the largest number'; Value = [double]::MaxValue }
            @{ Name = 'infinity'; Value = [double]::PositiveInfinity }
            @{ Name = 'the largest TimeSpan'; Value = [timespan]::MaxValue }
            @{ Name = 'the TimeSpan that means infinity'; Value = [Threading.Timeout]::InfiniteTimeSpan }
            @{ Name = '1e300'; Value = '1e300' }
        ) {
            Set-Batch b1 -Looks 2
            (Wait-Batch b1 -Timeout $Value -PollingInterval 0.05 -BaseUri $Faults.BaseUri -ErrorAction Stop).Status | Should -Be 'Completed'
        }

        It 'of <Name> is rejected before any request' -ForEach @(
            @{ Name = 'a negative number'; Given = @{ Timeout = -0.1 } }
            @{ Name = 'a negative TimeSpan'; Given = @{ Timeout = [timespan]::FromSeconds(-1) } }
            @{ Name = 'NaN'; Given = @{ Timeout = [double]::NaN } }
            @{ Name = 'minus infinity'; Given = @{ Timeout = [double]::NegativeInfinity } }
            @{ Name = 'text'; Given = @{ Timeout = 'soon' } }
            @{ Name = 'the largest polling interval'; Given = @{ PollingInterval = [double]::MaxValue } }
            @{ Name = 'an infinite polling interval'; Given = @{ PollingInterval = [double]::PositiveInfinity } }
        ) {
            $problem = Get-ErrorOf { Wait-Batch b1 -BaseUri $Faults.BaseUri @Given }
            Get-ErrorId $problem | Should -BeIn 'ParameterArgumentTransformationError', 'ParameterArgumentValidationError'
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'of 0 sends one request for a batch object with an old status: <Name>' -ForEach @(
            @{ Name = 'one'; Ids = @('b1') }
            @{ Name = 'several'; Ids = @('b1', 'b2', 'b3') }
        ) {
            $old = foreach ($id in $Ids) {
                $Faults.On("GET /v1/batches/$id", @((New-Answer (New-WireBatch $id 'in_progress')), (New-Answer (New-WireBatch $id))))
                Get-Batch $id -BaseUri $Faults.BaseUri
            }
            $old | ForEach-Object { $_.Status | Should -Be 'InProgress' }
            ($old | Wait-Batch -Timeout 0).Id | Sort-Object | Should -Be $Ids
            $Faults.Calls.Count | Should -Be (2 * $Ids.Count)
        }

        It 'of 0 with -Any finds the one that has ended' {
            foreach ($id in 'b1', 'b2') { $Faults.On("GET /v1/batches/$id", @(New-Answer (New-WireBatch $id 'in_progress'))) }
            $old = 'b1', 'b2' | ForEach-Object { Get-Batch $_ -BaseUri $Faults.BaseUri }
            $Faults.On('GET /v1/batches/b2', @(New-Answer (New-WireBatch 'b2' 'failed')))
            ($old | Wait-Batch -Any -Timeout 0 -ErrorAction SilentlyContinue).Id | Should -Be 'b2'
        }

        It 'of 0 is WaitTimeout for a batch that still runs' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $old = Get-Batch b1 -BaseUri $Faults.BaseUri
            Get-ErrorId (Get-ErrorOf { $old | Wait-Batch -Timeout 0 }) | Should -Be 'WaitTimeout'
            $Faults.Calls.Count | Should -Be 2
        }

        It 'of 0 polls once' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1')))
            (Wait-Batch b1 -Timeout 0 -BaseUri $Faults.BaseUri).Id | Should -Be 'b1'
        }

        It 'applies while the service does not respond' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1') -StallAfter 0))
            $clock = [Diagnostics.Stopwatch]::StartNew()
            $problem = Get-ErrorOf { Wait-Batch b1 -Timeout 1 -BaseUri $Faults.BaseUri }
            $clock.Elapsed.TotalSeconds | Should -BeLessThan 30
            Get-ErrorId $problem | Should -Be 'WaitTimeout'
            $problem.TargetObject | Should -Be 'b1'
        }
    }

    Context 'webhooks' {
        It 'polls at once after a webhook, and leaves the port free' {
            Set-Batch b1
            $prefix = "http://127.0.0.1:$(Get-FreePort)/hook/"
            $ps = [powershell]::Create()
            try {
                $null = $ps.AddScript('param($Module, $Uri, $Prefix) Import-Module $Module; Wait-Batch b1 -BaseUri $Uri -PollingInterval 600 -WebhookPrefix $Prefix').AddArgument($ModulePath).AddArgument($Faults.BaseUri).AddArgument($prefix)
                $running = $ps.BeginInvoke()
                Wait-Until { $Faults.Calls.Count -eq 1 } 30 | Should -BeTrue
                (Invoke-WebRequest $prefix -Method Post -Body '{"data":{"id":"b1"}}').StatusCode | Should -Be 204
                $running.AsyncWaitHandle.WaitOne(20000) | Should -BeTrue
                $ps.EndInvoke($running).Status | Should -Be 'Completed'
                $Faults.Calls.Count | Should -Be 2
            }
            finally { $ps.Dispose() }
            Receive-BatchWebhook $prefix -Timeout 0 -ErrorAction Stop | Should -BeNullOrEmpty
        }

        It 'reports WebhookListenFailed for a port in use, before any request' {
            $taken = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, 0)
            $taken.Start()
            try {
                $problem = Get-ErrorOf { Wait-Batch b1 -BaseUri $Faults.BaseUri -WebhookPrefix "http://127.0.0.1:$($taken.LocalEndpoint.Port)/x/" }
                Get-ErrorId $problem | Should -Be 'WebhookListenFailed'
                $problem.CategoryInfo.Category | Should -Be 'OpenError'
                $Faults.Calls | Should -BeNullOrEmpty
            }
            finally { $taken.Stop() }
        }
    }

    Context 'progress' {
        It 'shows progress ten times a second at most, and ends with a record that removes it' {
            Set-Batch b1 -Looks 30
            $ps = [powershell]::Create()
            try {
                $null = $ps.AddScript('param($Module, $Uri) Import-Module $Module; Wait-Batch b1 -BaseUri $Uri -PollingInterval 0.05').AddArgument($ModulePath).AddArgument($Faults.BaseUri)
                $clock = [Diagnostics.Stopwatch]::StartNew()
                $null = $ps.Invoke()
                $records = @($ps.Streams.Progress | Where-Object Activity -Match 'Waiting')
                $records.Count | Should -BeGreaterThan 2
                $records.Count | Should -BeLessOrEqual ($clock.Elapsed.TotalSeconds * 10 + 2)
                $records[-1].RecordType | Should -Be 'Completed'
                ($records.RecordType -eq 'Completed').Count | Should -Be 1
            }
            finally { $ps.Dispose() }
        }

        It 'shows the phase, the rate and the time left, which has its own field' {
            $answers = @(1..10 | ForEach-Object { New-Answer (New-WireBatch b1 in_progress @{ request_counts = @{ total = 1000; completed = 10 * $_; failed = 0 } }) }) + @(New-Answer (New-WireBatch b1))
            $Faults.On('GET /v1/batches/b1', $answers)
            $ps = [powershell]::Create()
            try {
                $null = $ps.AddScript('param($Module, $Uri) Import-Module $Module; Wait-Batch b1 -BaseUri $Uri -PollingInterval 0.2').AddArgument($ModulePath).AddArgument($Faults.BaseUri)
                $null = $ps.Invoke()
                $late = @($ps.Streams.Progress | Where-Object SecondsRemaining -GT 0)
                $late.Count | Should -BeGreaterThan 3
                $late[0].StatusDescription | Should -Match '^InProgress, \d+ of 1.000 done, \d+/s$'
            }
            finally { $ps.Dispose() }
        }

        It 'fits a window of 80 columns, also for many batches' {
            foreach ($id in 'b1', 'b2') {
                $answers = @(1..8 | ForEach-Object { New-Answer (New-WireBatch $id in_progress @{ request_counts = @{ total = 1000000; completed = 100000 * $_; failed = 0 } }) }) + @(New-Answer (New-WireBatch $id))
                $Faults.On("GET /v1/batches/$id", $answers)
            }
            $ps = [powershell]::Create()
            try {
                $null = $ps.AddScript('param($Module, $Uri) Import-Module $Module; Wait-Batch b1, b2 -BaseUri $Uri -PollingInterval 0.2').AddArgument($ModulePath).AddArgument($Faults.BaseUri)
                $null = $ps.Invoke()
                $records = @($ps.Streams.Progress | Where-Object Activity -EQ 'Waiting')
                $records.StatusDescription -match '^0/2 batches ended, .* of 2.000.000 done, .*/s$' | Should -Not -BeNullOrEmpty
                # PowerShell surrounds it with "Waiting [… 12345s]".
                ($records.StatusDescription.Length | Measure-Object -Maximum).Maximum | Should -BeLessOrEqual 60
            }
            finally { $ps.Dispose() }
        }

        It 'shows nothing with -ProgressAction Ignore' {
            Set-Batch b1 -Looks 5
            $ps = [powershell]::Create()
            try {
                $null = $ps.AddScript('param($Module, $Uri) Import-Module $Module; Wait-Batch b1 -BaseUri $Uri -PollingInterval 0.05 -ProgressAction Ignore').AddArgument($ModulePath).AddArgument($Faults.BaseUri)
                $null = $ps.Invoke()
                $ps.Streams.Progress | Where-Object Activity -Match 'Waiting' | Should -BeNullOrEmpty
            }
            finally { $ps.Dispose() }
        }
    }

    Context 'Ctrl+C' -Skip:$IsWindows {
        It 'ends at once, and writes the command that resumes the wait' {
            Set-Batch b1 -Looks 0
            $shell = Start-ChildShell "Wait-Batch b1 -BaseUri $($Faults.BaseUri) -PollingInterval 0.2; 'not reached'"
            try {
                Wait-Until { $Faults.Calls.Count -gt 2 } 60 | Should -BeTrue
                $clock = [Diagnostics.Stopwatch]::StartNew()
                kill -INT $shell.Id
                $shell.WaitForExit(10000) | Should -BeTrue
                $clock.Elapsed.TotalSeconds | Should -BeLessThan 5
                $text = $shell.StandardOutput.ReadToEnd() + $shell.StandardError.ReadToEnd()
                ($text -replace '\s+', ' ') | Should -Match "Wait-Batch -Id 'b1'"
                $text | Should -Not -Match 'not reached'
            }
            finally { if (-not $shell.HasExited) { $shell.Kill() } }
        }
    }
}
