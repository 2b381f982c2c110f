BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    $file = Send-BatchFile (New-InputFile 1)
    $script:Made = 1..5 | ForEach-Object { $file | New-Batch -Metadata @{ number = $_ } } | Wait-Batch | Sort-Object { [int]$_.Metadata['number'] }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Get-Batch' {
    BeforeEach { $Faults.Reset() }

    Context 'by ID' {
        It 'accepts IDs as argument, from the pipeline and by property name, and batches' {
            (Get-Batch $Made[0].Id, $Made[1].Id).Id | Should -Be $Made[0, 1].Id
            ($Made[2].Id | Get-Batch).Id | Should -Be $Made[2].Id
            ([pscustomobject]@{ BatchId = $Made[3].Id } | Get-Batch).Id | Should -Be $Made[3].Id
            ($Made | Get-Batch).Id | Should -Be $Made.Id
        }

        It 'requests a batch from the pipeline from its service' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $batch = Get-Batch b1 -BaseUri $Faults.BaseUri
            ($batch | Get-Batch).Id | Should -Be 'b1'
            $Faults.Calls.Count | Should -Be 2
        }

        It 'reports an unknown ID, and continues with the others' {
            $found = Get-Batch batch_none, $Made[0].Id -ErrorAction SilentlyContinue -ErrorVariable problem
            $found.Id | Should -Be $Made[0].Id
            Get-ErrorId $problem[0] | Should -Be 'BatchNotFound'
            $problem[0].CategoryInfo.Category | Should -Be 'ObjectNotFound'
            $problem[0].TargetObject | Should -Be 'batch_none'
        }

        It 'has the reason in its error for <Body>' -ForEach @(
            @{ Body = '{"detail":[{"loc":["query","limit"],"msg":"too large","type":"less_than"}]}'; Reason = 'answered 422: query.limit: too large (less_than)' }
            @{ Body = '{"type":"about:blank","title":"Invalid","detail":"No such model","status":422}'; Reason = 'answered 422: Invalid: No such model.' }
            @{ Body = '{"errors":{"data":[{"code":"c","message":"m"}]}}'; Reason = 'answered 422: m (c).' }
            @{ Body = '[{"error":{"code":"c","message":"m"}}]'; Reason = 'answered 422: m (c).' }
            @{ Body = "no such model`n"; Reason = 'answered 422: no such model.' }
            @{ Body = '<html>x</html>'; Reason = 'answered 422 Unprocessable Entity.' }
            @{ Body = ''; Reason = 'answered 422 Unprocessable Entity.' }
            @{ Body = '{"error":{"message":"red \u001b[31m, half \ud83d, title \u001b]0;x\u0007"}}'; Reason = "answered 422: red $([char]0xfffd)[[]31m, half $([char]0xfffd), title $([char]0xfffd)]0;x$([char]0xfffd)." }
        ) {
            $Faults.On('GET /v1/batches/b9', @(New-Answer $Body 422))
            $null = Get-Batch b9 -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem
            Get-ErrorId $problem[0] | Should -Be 'ServiceRejected'
            "$($problem[0])" | Should -BeLike "*$Reason*"
        }

        It 'treats a text with status 404 as a missing route, not as an unknown batch' {
            $Faults.On('GET /v1/batches/b9', @(New-Answer '404 page not found' 404 -ContentType 'text/plain'))
            $null = Get-Batch b9 -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem
            Get-ErrorId $problem[0] | Should -Be 'NotSupportedByService'
            "$($problem[0])" | Should -BeLike '*answered 404: 404 page not found.*'
        }

        It 'accepts IDs that begin with a hyphen or contain special characters' {
            $Faults.On('GET /v1/batches/-a_b%2Fc', @(New-Answer (New-WireBatch '-a_b/c')))
            (Get-Batch -Id '-a_b/c' -BaseUri $Faults.BaseUri).Id | Should -Be '-a_b/c'
        }
    }

    Context 'the list' {
        It 'returns the newest first' {
            (Get-Batch).Id | Should -Be $Made[4..0].Id
        }

        It 'returns no more than -First, and requests no more' {
            (Get-Batch -First 2).Id | Should -Be $Made[4, 3].Id
            $Faults.On('GET /v1/batches?limit=2', @(New-Answer @{ data = @((New-WireBatch 'x1'), (New-WireBatch 'x2')); has_more = $true }))
            (Get-Batch -First 2 -BaseUri $Faults.BaseUri).Id | Should -Be 'x1', 'x2'
            $Faults.Calls.Count | Should -Be 1
        }

        It 'starts after -After' {
            (Get-Batch -After $Made[3].Id).Id | Should -Be $Made[2..0].Id
        }

        It 'returns batches created at -Since or later, and stops paging there' {
            $now = [DateTimeOffset]::UtcNow
            $page = foreach ($i in 0..99) { New-WireBatch "b$i" 'completed' @{ created_at = $now.AddHours(-$i).ToUnixTimeSeconds() } }
            $Faults.On('GET /v1/batches?', @(New-Answer @{ data = @($page); has_more = $true }))
            (Get-Batch -Since $now.AddMinutes(-150) -BaseUri $Faults.BaseUri).Id | Should -Be 'b0', 'b1', 'b2'
            $Faults.Calls.Count | Should -Be 1
            @(Get-Batch -Since (Get-Date).AddHours(-1)).Count | Should -Be 5
        }

        It 'filters by several statuses' {
            $page = New-WireBatch 'c1'; $page2 = New-WireBatch 'c2' 'expired'; $page3 = New-WireBatch 'c3' 'in_progress'; $page4 = New-WireBatch 'c4' 'cancelled'
            $Faults.On('GET /v1/batches?', @(New-Answer @{ data = @($page, $page2, $page3, $page4); has_more = $false }))
            (Get-Batch -Status Expired, Cancelled -BaseUri $Faults.BaseUri).Id | Should -Be 'c2', 'c4'
            (Get-Batch -Status InProgress -First 1 -BaseUri $Faults.BaseUri).Id | Should -Be 'c3'
        }

        It 'reads all pages: <Kind>' -ForEach @(
            @{ Kind = 'as documented'; More = $true; Calls = 2 }
            @{ Kind = 'without has_more'; More = $null; Calls = 3 }
        ) {
            $first = @(1..100 | ForEach-Object { New-WireBatch "p$_" })
            $Faults.On('GET /v1/batches?limit=100', @(New-Answer @{ data = $first; has_more = $More }))
            $Faults.On('GET /v1/batches?limit=100&after=p100', @(New-Answer @{ data = @(New-WireBatch 'p101'); has_more = $(if ($More) { $false }) }))
            @(Get-Batch -BaseUri $Faults.BaseUri).Count | Should -Be 101
            $Faults.Calls.Count | Should -Be $Calls
        }

        It 'reads a list that is a bare array' {
            $Faults.On('GET /v1/batches', @(New-Answer "[$(ConvertTo-Json (New-WireBatch 'q1') -Depth 9)]"))
            (Get-Batch -BaseUri $Faults.BaseUri).Id | Should -Be 'q1'
        }

        It 'stops paging when a downstream command stops' {
            $Faults.On('GET /v1/batches', @(New-Answer @{ data = @(1..100 | ForEach-Object { New-WireBatch "p$_" }); has_more = $true }))
            $clock = [Diagnostics.Stopwatch]::StartNew()
            (Get-Batch -BaseUri $Faults.BaseUri | Select-Object -First 1).Id | Should -Be 'p1'
            $clock.Elapsed.TotalSeconds | Should -BeLessThan 5
            $Faults.Calls.Count | Should -BeLessOrEqual 4
        }
    }

    Context 'what it reads' {
        It 'reads the statuses of services: <Raw> is <Status>' -ForEach @(
            @{ Raw = 'COMPLETED'; Status = 'Completed'; Ended = $true }
            @{ Raw = 'canceled'; Status = 'Cancelled'; Ended = $true }
            @{ Raw = 'PROGRESS'; Status = 'InProgress'; Ended = $false }
            @{ Raw = 'QUEUED'; Status = 'Validating'; Ended = $false }
            @{ Raw = 'TIMEOUT_EXCEEDED'; Status = 'Expired'; Ended = $true }
            @{ Raw = 'dreaming'; Status = 'Unknown'; Ended = $false }
        ) {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' $Raw)))
            $batch = Get-Batch b1 -BaseUri $Faults.BaseUri
            $batch.Status | Should -Be $Status
            $batch.RawStatus | Should -Be $Raw
            $batch.IsFinished | Should -Be $Ended
        }

        It 'reads times, counts and errors of the documented object' {
            $errors = @{ object = 'list'; data = @(@{ code = 'invalid_json_line'; message = 'This line is not parseable as valid JSON.'; param = $null; line = 4 }) }
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'failed' @{ errors = $errors; failed_at = 1714508600; request_counts = @{ total = 2; completed = 1; failed = 1 } })))
            $batch = Get-Batch b1 -BaseUri $Faults.BaseUri
            $batch.CreatedAt | Should -Be ([DateTimeOffset]::FromUnixTimeSeconds(1714508499))
            $batch.Elapsed | Should -Be ([timespan]::FromSeconds(101))
            $batch.RequestCounts.Total | Should -Be 2
            $batch.RequestCounts.Failed | Should -Be 1
            $batch.Errors[0].Line | Should -Be 4
            $batch.Errors[0].Code | Should -Be 'invalid_json_line'
            $batch.Json | Should -Match '"file-of-b1"'
        }
    }

    Context 'errors of the service' {
        It 'reports <Name>: <Id>' -ForEach @(
            @{ Name = '401'; Id = 'Unauthorized'; Answer = { New-Refusal 401 } }
            @{ Name = '403'; Id = 'PermissionDenied'; Answer = { New-Refusal 403 } }
            @{ Name = '404 JSON'; Id = 'BatchNotFound'; Answer = { New-Refusal 404 } }
            @{ Name = '404 HTML'; Id = 'NotSupportedByService'; Answer = { New-Answer '<html></html>' 404 -ContentType 'text/html' } }
            @{ Name = '405'; Id = 'NotSupportedByService'; Answer = { New-Answer '' 405 } }
            @{ Name = '501'; Id = 'NotSupportedByService'; Answer = { New-Refusal 501 } }
            @{ Name = '422'; Id = 'ServiceRejected'; Answer = { New-Refusal 422 } }
            @{ Name = '429'; Id = 'RateLimited'; Answer = { New-Refusal 429 } }
            @{ Name = '500'; Id = 'ServiceUnavailable'; Answer = { New-Refusal 500 } }
            @{ Name = '503 HTML'; Id = 'ServiceUnavailable'; Answer = { New-Answer '<html></html>' 503 -ContentType 'text/html' } }
            @{ Name = 'a string as error'; Id = 'ServiceRejected'; Answer = { New-Answer '{"error":"odd words"}' 400 } }
        ) {
            $Faults.On('GET /v1/batches/b1', @(& $Answer))
            $secret = 'sk-secret-4711-get'
            $problem = Get-ErrorOf { Get-Batch b1 -BaseUri $Faults.BaseUri -ApiKey $secret }
            Get-ErrorId $problem | Should -Be $Id
            $problem.TargetObject | Should -Be 'b1'
            "$problem" | Should -Not -Match 'html'
            $Faults.Calls[0].Headers['Authorization'] | Should -Be "Bearer $secret"
            $problem | Format-List * -Force | Out-String -Width 500 | Should -Not -Match $secret
            $problem.Exception | Format-List * -Force | Out-String -Width 500 | Should -Not -Match $secret
        }

        It 'reports BatchNotFound with the service''s message if Inference.net responds with 500 for an unknown ID' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer '{"error":"Failed to retrieve batch"}' 500))
            $connection = Connect-BatchService InferenceNet -BaseUri $Faults.BaseUri -PassThru
            Connect-BatchService -BaseUri $Server.Uri
            $problem = Get-ErrorOf { Get-Batch b1 -Connection $connection }
            Get-ErrorId $problem | Should -Be 'BatchNotFound'
            "$problem" | Should -Match 'Failed to retrieve batch'
            $Faults.Calls.Count | Should -Be 5
        }

        It 'waits as long as Retry-After requests, not longer' {
            $Faults.On('GET /v1/batches/b1', @((New-Refusal 429 -Header @{ 'Retry-After' = '1' }), (New-Answer (New-WireBatch 'b1'))))
            (Get-Batch b1 -BaseUri $Faults.BaseUri).Id | Should -Be 'b1'
            ($Faults.Calls[1].At - $Faults.Calls[0].At).TotalSeconds | Should -BeGreaterOrEqual 0.9
        }

        It 'does not retry if the service says so' {
            $Faults.On('GET /v1/batches/b1', @(New-Refusal 500 -Header @{ 'x-should-retry' = 'false' }))
            Get-ErrorOf { Get-Batch b1 -BaseUri $Faults.BaseUri } | Should -Not -BeNullOrEmpty
            $Faults.Calls.Count | Should -Be 1
        }

        It 'reports ServiceUnavailable for an address without a Batch API' -Tag Long {
            $Faults.On('GET /v1/batches/b1', @(New-Answer 'hello, <b>world</b>' -ContentType 'text/html' -Header @{ 'retry-after-ms' = '1' }))
            $problem = Get-ErrorOf { Get-Batch b1 -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'ServiceUnavailable'
            "$problem" | Should -Match 'Check the address'
        }

        It 'reports ServiceUnavailable with the address of a service that does not respond' {
            $gone = [FaultServer]::new()
            $gone.Dispose()
            $problem = Get-ErrorOf { Get-Batch b1 -BaseUri $gone.BaseUri }
            Get-ErrorId $problem | Should -Be 'ServiceUnavailable'
            $problem.CategoryInfo.Category | Should -Be 'ConnectionError'
            "$problem" | Should -Match ([regex]::Escape($gone.BaseUri))
        }
    }

    Context 'completion' {
        It 'completes the IDs seen, newest first, and the statuses' {
            Get-Batch $Made[0].Id | Out-Null
            (TabExpansion2 'Get-Batch batch_' 16).CompletionMatches[0].CompletionText | Should -Be $Made[0].Id
            (TabExpansion2 'Get-Batch -Status Exp' 21).CompletionMatches.CompletionText | Should -Contain 'Expired'
        }
    }
}
