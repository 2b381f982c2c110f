BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    # Makes the fault server return a batch with these lines in its files.
    function Set-Results([string] $Id = 'b1', [string[]] $Output, [string[]] $Errors, [hashtable] $With = @{}, [string] $Status = 'completed') {
        $all = @{ request_counts = @{ total = $Output.Count + $Errors.Count; completed = $Output.Count; failed = $Errors.Count } }
        if ($Output) { $all['output_file_id'] = "$Id-out"; $Faults.On("GET /v1/files/$Id-out/content", @(New-Answer (($Output -join "`n") + "`n") -Ranges)) }
        if ($Errors) { $all['error_file_id'] = "$Id-err"; $Faults.On("GET /v1/files/$Id-err/content", @(New-Answer (($Errors -join "`n") + "`n") -Ranges)) }
        foreach ($name in $With.Keys) { $all[$name] = $With[$name] }
        $Faults.On("GET /v1/batches/$Id", @(New-Answer (New-WireBatch $Id $Status $all)))
    }
    function New-Failure([string] $CustomId, [string] $Code, [string] $Message = 'no') { New-WireLine $CustomId -With @{ response = $null; error = @{ code = $Code; message = $Message } } }
    function Write-Lines([string] $Name, [string[]] $Line) {
        $path = Join-Path $TestDrive $Name
        [IO.File]::WriteAllLines($path, $Line)
        $path
    }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Get-BatchResult' {
    BeforeEach { $Faults.Reset() }
    AfterEach {
        Get-Leftover | Should -BeNullOrEmpty
        Wait-Until { $Faults.OpenAnswers -eq 0 } | Should -BeTrue -Because 'no connection is held'
    }

    Context 'the pipeline' {
        It 'returns the answers of the service' {
            $results = 'eins', 'zwei' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch | Wait-Batch | Get-BatchResult
            $results[0] | Should -BeOfType ([InferenceBatch.Model.BatchResult])
            $results.Text | Sort-Object | Should -Be 'eins', 'zwei'
            $results.Status | Select-Object -Unique | Should -Be 'Succeeded'
            $results[0].StatusCode | Should -Be 200
            $results[0].BatchId | Should -Match '^batch_'
            $results[0].TotalTokens | Should -Be ($results[0].PromptTokens + $results[0].CompletionTokens)
        }

        It 'accepts IDs from the pipeline, and by property name' {
            Set-Results -Output (New-WireLine 'a')
            ('b1' | Get-BatchResult -BaseUri $Faults.BaseUri).CustomId | Should -Be 'a'
            ([pscustomobject]@{ BatchId = 'b1' } | Get-BatchResult -BaseUri $Faults.BaseUri).CustomId | Should -Be 'a'
            (Get-BatchResult b1 -BaseUri $Faults.BaseUri).CustomId | Should -Be 'a'
        }

        It 'waits with -Wait' {
            $results = 'x' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch | Get-BatchResult -Wait
            $results.Text | Should -Be 'x'
        }

        It 'reads several batches, each from its service' {
            $other = [FaultServer]::new()
            try {
                Set-Results b1 -Output (New-WireLine 'a')
                $other.On('GET /v1/batches/b2', @((New-Answer (New-WireBatch 'b2' 'in_progress')), (New-Answer (New-WireBatch 'b2' 'completed' @{ output_file_id = 'o2' }))))
                $other.On('GET /v1/files/o2/content', @(New-Answer (New-WireLine 'b')))
                $batches = @(Get-Batch b1 -BaseUri $Faults.BaseUri) + @(Get-Batch b2 -BaseUri $other.BaseUri)
                ($batches | Get-BatchResult -Wait -ErrorAction Stop).CustomId | Sort-Object | Should -Be 'a', 'b'
            }
            finally { $other.Dispose() }
        }

        It 'does not delay other batches if the results of a batch are late, with -Wait, <Name>' -ForEach @{ Name = 'as they come'; With = @{} }, @{ Name = 'a second wait'; With = @{ Status = 'Succeeded' } } {
            foreach ($id in 'b1', 'b2', 'b3') {
                $Faults.On("GET /v1/batches/$id", @((New-Answer (New-WireBatch $id 'in_progress')), (New-Answer (New-WireBatch $id 'completed' @{ output_file_id = "out-$id"; request_counts = @{ total = 1; completed = 1; failed = 0 } }))))
                $Faults.On("GET /v1/files/out-$id/content", @(New-Answer (New-WireLine "request-$id")))
            }
            $Faults.On('GET /v1/files/out-b1/content', @(New-Refusal 404))
            $watch = [Diagnostics.Stopwatch]::StartNew()
            $results = 'b1', 'b2', 'b3' | Get-BatchResult -BaseUri $Faults.BaseUri -Wait @With -WarningAction SilentlyContinue | Select-Object -First 2
            $results.CustomId | Sort-Object | Should -Be 'request-b2', 'request-b3'
            $watch.Elapsed.TotalSeconds | Should -BeLessThan 120 # The command waits 300 s for the late batch.
            $Faults.On('GET /v1/files/out-b1/content', @((New-Refusal 404), (New-Refusal 404), (New-Answer (New-WireLine 'request-b1'))))
            ('b1', 'b2', 'b3' | Get-BatchResult -BaseUri $Faults.BaseUri -Wait @With).CustomId[-1] | Should -Be 'request-b1'
        }

        It 'continues with other batches if the files of a batch cannot be read, with -Wait <Wait>' -ForEach @{ Wait = $true }, @{ Wait = $false } {
            Set-Results b1 -With @{ output_file_id = 'gone' }
            $Faults.On('GET /v1/files/gone/content', @(New-Refusal 404))
            Set-Results b2 -Output (New-WireLine 'b')
            $results = 'b1', 'b2' | Get-BatchResult -BaseUri $Faults.BaseUri -Wait:$Wait -ErrorAction SilentlyContinue -ErrorVariable problem
            $results.CustomId | Should -Be 'b'
            $problem.Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be 'FileNotFound'
            $problem[0].TargetObject | Should -Be 'b1'
        }
    }

    Context 'the result of a line' {
        It '<Name>' -ForEach @(
            @{ Name = 'an expired line of the document'; Status = 'Expired'; Code = 'batch_expired'; Http = $null; Line = '{"id":"batch_req_123","custom_id":"request-3","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}' }
            @{ Name = 'a cancelled line'; Status = 'Cancelled'; Code = 'batch_cancelled'; Http = $null; Line = '{"id":"x","custom_id":"request-3","response":null,"error":{"code":"batch_cancelled","message":"m"}}' }
            @{ Name = 'a failure with an HTTP answer, error null'; Status = 'Failed'; Code = 'rate_limit_exceeded'; Http = 429; Line = '{"id":"x","custom_id":"request-3","response":{"status_code":429,"body":{"error":{"code":"rate_limit_exceeded","message":"slow down"}}},"error":null}' }
            @{ Name = 'Inference.net''s failure'; Status = 'Failed'; Code = 'inference_failed'; Http = $null; Line = '{"id":"x","custom_id":"request-3","response":null,"error":{"code":"inference_failed","message":"Maximum retries reached"}}' }
            @{ Name = 'a status of 0'; Status = 'Failed'; Code = 'http_0'; Http = 0; Line = '{"id":"x","custom_id":"request-3","response":{"status_code":0,"body":null},"error":null}' }
        ) {
            $result = Get-BatchResult -Path (Write-Lines 'one.jsonl' $Line)
            $result.CustomId | Should -Be 'request-3'
            $result.Status | Should -Be $Status
            $result.Error.Code | Should -Be $Code
            $result.StatusCode | Should -Be $Http
            $result.Text | Should -BeNullOrEmpty
        }

        It 'reads a success without an error field, as Inference.net writes it' {
            $result = Get-BatchResult -Path (Write-Lines 'one.jsonl' '{"id":"b","custom_id":"img_0","response":{"status_code":200,"body":{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}}')
            $result.Status | Should -Be 'Succeeded'
            $result.Text | Should -Be 'ok'
            $result.FinishReason | Should -Be 'stop'
            $result.TotalTokens | Should -Be 3
            $result.Error | Should -BeNullOrEmpty
        }

        It 'converts JSON in the text to an object in Value, with dates as text' {
            $result = Get-BatchResult -Path (Write-Lines 'one.jsonl' (New-WireLine 'a' '{"name":"Zoë","when":"2024-01-02T03:04:05Z","list":[1,2]}'))
            $result.Value.name | Should -Be 'Zoë'
            $result.Value.when | Should -BeOfType ([string])
            $result.Value.when | Should -BeExactly '2024-01-02T03:04:05Z'
            $result.Value.list | Should -Be 1, 2
            (Get-BatchResult -Path (Write-Lines 'one.jsonl' (New-WireLine 'a' 'plain text'))).Value | Should -BeNullOrEmpty
        }

        It 'converts numbers in Value as ConvertFrom-Json does' {
            $result = Get-BatchResult -Path (Write-Lines 'one.jsonl' (New-WireLine 'a' '{"long":9223372036854775807,"big":9223372036854775808,"low":-99999999999999999999999999999999999999,"double":1.5,"power":1e3}'))
            $result.Value.long | Should -BeOfType ([long])
            $result.Value.big | Should -BeOfType ([bigint])
            $result.Value.big | Should -Be ([bigint]::Parse('9223372036854775808'))
            "$($result.Value.low)" | Should -Be '-99999999999999999999999999999999999999'
            $result.Value.double, $result.Value.power | Should -BeOfType ([double])
            $result.Value.double, $result.Value.power | Should -Be 1.5, 1000
        }

        It 'has no Value, but a ValueError, for the number <_>' -ForEach '1e400', '-1e400', '1.5E+309', ('9' * 1001) {
            $result = Get-BatchResult -Path (Write-Lines 'one.jsonl' (New-WireLine 'a' "{`"n`":[$_]}"))
            $result.Status | Should -Be 'Succeeded'
            $result.Value | Should -BeNullOrEmpty
            $result.ValueError | Should -BeLike "the answer has a number that is out of range: $($_.Substring(0, 5))*"
        }

        It 'has a Value for JSON with the name <_>, which PowerShell reserves' -ForEach 'psobject', 'psbase', 'psadapted', 'psextended', 'pstypenames', 'PSTypeNames' {
            $result = Get-BatchResult -Path (Write-Lines 'one.jsonl' (New-WireLine 'a' "{`"x`":1,`"$_`":[`"v`"]}"), (New-WireLine 'b' "{`"in`":[{`"$_`":{`"$_`":2}}],`"x`":3}"))
            $result[0].Value['x'] | Should -Be 1
            $result[0].Value[$_] | Should -Be 'v'
            $result[0].ValueError | Should -BeNullOrEmpty
            $result[1].Value.x | Should -Be 3
            $result[1].Value.in[0][$_][$_] | Should -Be 2
            { $result | Format-List | Out-String } | Should -Not -Throw
        }

        It 'shows no control characters and no halves of surrogate pairs of an error' {
            $path = Write-Lines 'one.jsonl' '{"custom_id":"a\u001b[2J","response":{"status_code":400,"body":{"detail":"red \u001b[31m \ud83d end"}}}'
            $result = Get-BatchResult -Path $path
            $result.Error.Message | Should -BeExactly "red $([char]0xfffd)[31m $([char]0xfffd) end"
            "$($result | Format-List | Out-String)$($result | Format-Table | Out-String)$($result | Measure-BatchResult | Out-String)" | Should -Not -Match "[\x1b\ud800-\udfff]\["
        }

        It 'reads the error file after the output file' {
            Set-Results -Output (New-WireLine 'a') -Errors (New-Failure 'b' 'inference_failed')
            $results = Get-BatchResult b1 -BaseUri $Faults.BaseUri
            $results.CustomId | Should -Be 'a', 'b'
            $results.Status | Should -Be 'Succeeded', 'Failed'
            $results[1].Error.Message | Should -Be 'no'
        }

        It 'returns the reason of lines that failed in the real service' {
            $service = Start-TestService 'echo?fail=1&seed=7' @{ MAX_ATTEMPTS = '1' }
            try {
                $results = 'a', 'b', 'c' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch | Get-BatchResult -Wait
                $results.Count | Should -Be 3
                $results.Status | Select-Object -Unique | Should -Be 'Failed'
                $results.StatusCode | ForEach-Object { $_ | Should -BeIn 408, 429, 500 }
                $results.Error.Message | Should -Match 'echo model'
            }
            finally {
                $service | Stop-BatchServer
                Connect-BatchService -BaseUri $Server.Uri
            }
        }

        It 'marks lines that expired in the real service' {
            $service = Start-TestService 'echo?latency=20s' @{ COMPLETION_WINDOW = '1s' }
            try {
                $results = 'a', 'b' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch | Get-BatchResult -Wait
                $results.Status | Should -Be 'Expired', 'Expired'
                $results[0].Error.Code | Should -Be 'batch_expired'
            }
            finally {
                $service | Stop-BatchServer
                Connect-BatchService -BaseUri $Server.Uri
            }
        }
    }

    Context 'joined to the requests' {
        BeforeAll {
            $script:Requests = 1..4 | ForEach-Object { [pscustomobject]@{ Number = $_; Prompt = "Q$_" } } | New-BatchRequest -Model m
            $script:RequestFile = $Requests | Export-BatchFile (Join-Path $TestDrive requests.jsonl) -Force
        }

        It 'by -Request: with the object each was built from' {
            Set-Results -Output (3, 1, 4, 2 | ForEach-Object { New-WireLine "request-$_" "A$_" })
            $results = Get-BatchResult b1 -Request $Requests -BaseUri $Faults.BaseUri
            $results.CustomId | Should -Be 'request-3', 'request-1', 'request-4', 'request-2'
            $results | ForEach-Object { $_.Text | Should -Be "A$($_.InputObject.Number)" }
        }

        It 'by -RequestPath: with the request' {
            Set-Results -Output (New-WireLine 'request-2')
            $result = Get-BatchResult b1 -RequestPath $RequestFile -BaseUri $Faults.BaseUri -Status Succeeded
            $result.Request.CustomId | Should -Be 'request-2'
            $result.Request.Body | Should -Match 'Q2'
        }

        It 'in input order with -Ordered' {
            Set-Results -Output (3, 1, 4, 2 | ForEach-Object { New-WireLine "request-$_" })
            (Get-BatchResult b1 -RequestPath $RequestFile -Ordered -BaseUri $Faults.BaseUri).CustomId | Should -Be 'request-1', 'request-2', 'request-3', 'request-4'
        }

        It 'requests without a result are Missing: results, not errors<How>' -ForEach @{ How = ''; Ordered = $false }, @{ How = ', in its place with -Ordered'; Ordered = $true } {
            Set-Results -Output (4, 1 | ForEach-Object { New-WireLine "request-$_" })
            $results = Get-BatchResult b1 -Request $Requests -Ordered:$Ordered -BaseUri $Faults.BaseUri -ErrorAction Stop
            ($results | Where-Object Status -EQ Missing).CustomId | Should -Be 'request-2', 'request-3'
            ($results | Where-Object Status -EQ Missing)[0].InputObject.Number | Should -Be 2
            if ($Ordered) { $results.CustomId | Should -Be 'request-1', 'request-2', 'request-3', 'request-4' }
        }

        It 'over several batches, missing requests are returned once at the end' {
            Set-Results b1 -Output (New-WireLine 'request-1'), (New-WireLine 'request-2')
            Set-Results b2 -Output (New-WireLine 'request-3')
            $results = 'b1', 'b2' | Get-BatchResult -Request $Requests -BaseUri $Faults.BaseUri
            $results.Count | Should -Be 4
            ($results | Where-Object Status -EQ Missing).CustomId | Should -Be 'request-4'
        }

        It 'warns how many results are unknown, and how many are duplicates' {
            Set-Results -Output ('request-1', 'request-1', 'stranger', 'request-2', 'request-3', 'request-4' | ForEach-Object { New-WireLine $_ })
            $results = Get-BatchResult b1 -Request $Requests -BaseUri $Faults.BaseUri -WarningAction SilentlyContinue -WarningVariable said
            ($results | Where-Object CustomId -EQ 'request-1').Count | Should -Be 1
            $said -join "`n" | Should -Match '1 results? .*not belong to any of the given requests'
            $said -join "`n" | Should -Match '1 results? repeat'
        }

        It 'a success takes precedence over a failure, <Order>, with -Ordered <Ordered>' -ForEach @(
            foreach ($ordered in $false, $true) {
                @{ Order = 'the failure first in one file'; Ordered = $ordered; Output = 'bad', 'good'; Errors = @() }
                @{ Order = 'the success first in one file'; Ordered = $ordered; Output = 'good', 'bad'; Errors = @() }
                @{ Order = 'the failure in the output file'; Ordered = $ordered; Output = @('bad'); Errors = @('good') }
                @{ Order = 'the failure in the error file'; Ordered = $ordered; Output = @('good'); Errors = @('bad') }
            }
        ) {
            $line = @{ good = New-WireLine 'request-2'; bad = New-Failure 'request-2' 'server_error' }
            Set-Results -Output (@(New-WireLine 'request-1') + @($Output | ForEach-Object { $line[$_] }) + @(New-WireLine 'request-3')) -Errors (@(New-Failure 'request-4' 'server_error') + @($Errors | ForEach-Object { $line[$_] }))
            $results = Get-BatchResult b1 -Request $Requests -Ordered:$Ordered -BaseUri $Faults.BaseUri -WarningAction SilentlyContinue
            $results.CustomId | Sort-Object | Should -Be 'request-1', 'request-2', 'request-3', 'request-4'
            ($results | Where-Object CustomId -EQ 'request-2').Status | Should -Be 'Succeeded'
            ($results | Where-Object CustomId -EQ 'request-4').Status | Should -Be 'Failed'
            if ($Ordered) { $results.CustomId | Should -Be 'request-1', 'request-2', 'request-3', 'request-4' }
        }

        It 'a request that fails in one batch and succeeds in the next has succeeded' {
            Set-Results b1 -Output (New-WireLine 'request-1') -Errors (New-Failure 'request-2' 'server_error'), (New-Failure 'request-3' 'server_error')
            Set-Results b2 -Output (New-WireLine 'request-2'), (New-WireLine 'request-4')
            $results = 'b1', 'b2' | Get-BatchResult -Request $Requests -BaseUri $Faults.BaseUri -WarningAction SilentlyContinue
            $results.CustomId | Should -Be 'request-1', 'request-2', 'request-4', 'request-3'
            $results.Status | Should -Be 'Succeeded', 'Succeeded', 'Succeeded', 'Failed'
            $results[1].BatchId | Should -Be 'b2'
            $results[3].InputObject.Number | Should -Be 3
        }

        It 'warns, with the numbers, if the files have fewer lines than the batch counts' {
            Set-Results -Output (New-WireLine 'request-1') -With @{ request_counts = @{ total = 4; completed = 4; failed = 0 } }
            Get-BatchResult b1 -BaseUri $Faults.BaseUri -WarningAction SilentlyContinue -WarningVariable said | Out-Null
            "$said" | Should -Match '4.*1'
        }

        It '-Status filters results, including missing ones' {
            Set-Results -Output (New-WireLine 'request-1') -Errors (New-Failure 'request-2' 'batch_expired'), (New-Failure 'request-3' 'inference_failed')
            (Get-BatchResult b1 -Request $Requests -Status Expired, Missing -BaseUri $Faults.BaseUri).CustomId | Should -Be 'request-2', 'request-4'
            (Get-BatchResult b1 -Status Failed -BaseUri $Faults.BaseUri).CustomId | Should -Be 'request-3'
        }

        It 'failed lines can be sent again: Get-BatchResult | Send-BatchFile | New-Batch' {
            Set-Results -Output (New-WireLine 'request-1') -Errors (New-Failure 'request-2' 'batch_expired'), (New-Failure 'request-3' 'inference_failed')
            $again = Get-BatchResult b1 -Status Failed, Expired -RequestPath $RequestFile -BaseUri $Faults.BaseUri | Send-BatchFile | New-Batch | Get-BatchResult -Wait
            $again.CustomId | Sort-Object | Should -Be 'request-2', 'request-3'
            ($again | Sort-Object CustomId).Text | Should -Be 'Q2', 'Q3'
        }

        It 'no request is Missing if a batch could not be read' {
            Set-Results b1 -Output (New-WireLine 'request-1')
            $Faults.On('GET /v1/batches/b2', @(New-Refusal 404))
            $results = 'b1', 'b2' | Get-BatchResult -Request $Requests -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue
            $results.CustomId | Should -Be 'request-1'
        }

        It '-Ordered without requests is an error' {
            Get-ErrorId (Get-ErrorOf { Get-BatchResult b1 -Ordered -BaseUri $Faults.BaseUri }) | Should -Be 'InvalidValue'
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'a missing -RequestPath is an error before anything is downloaded' {
            $problem = Get-ErrorOf { Get-BatchResult b1 -RequestPath (Join-Path $TestDrive none.jsonl) -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'FileNotFound'
            $Faults.Calls | Should -BeNullOrEmpty
        }
    }

    Context 'batches that have not ended, or failed' {
        It 'reports BatchNotFinished if there are no results yet' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
            $problem = Get-ErrorOf { Get-BatchResult b1 -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'BatchNotFinished'
            $problem.CategoryInfo.Category | Should -Be 'InvalidOperation'
            $problem.TargetObject.Id | Should -Be 'b1'
            "$problem" | Should -Match '-Wait'
        }

        It 'returns the results so far if the service has them' {
            Set-Results -Output (New-WireLine 'a') -Status in_progress -With @{ request_counts = @{ total = 9; completed = 1; failed = 0 } }
            (Get-BatchResult b1 -BaseUri $Faults.BaseUri -ErrorAction Stop -WarningAction SilentlyContinue).CustomId | Should -Be 'a'
        }

        It 'warns about partial results, and marks no request as missing' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress' @{ output_file_id = 'o'; request_counts = @{ total = 9; completed = 2; failed = 0 } })))
            $partial = @{ 'X-Incomplete' = 'true'; 'X-Last-Line' = '2' }
            $Faults.On('GET /v1/files/o/content', @(New-Answer ((New-WireLine 'a') + "`n" + (New-WireLine 'b') + "`n" + (New-WireLine 'c').Substring(0, 20)) -Header $partial))
            $requests = 'a', 'b', 'c', 'd' | ForEach-Object { New-BatchRequest $_ -Model m -CustomId $_ }
            $results = Get-BatchResult b1 -Request $requests -Ordered -BaseUri $Faults.BaseUri -ErrorAction Stop -WarningVariable said -WarningAction SilentlyContinue
            $results.CustomId | Should -Be 'a', 'b'
            $results.Status | Select-Object -Unique | Should -Be 'Succeeded'
            $said | Should -HaveCount 1
            "$said" | Should -Match 'b1.*incomplete: 2 of 9 so far, and the batch is InProgress'
        }

        It 'reports BatchNotFinished if the file has an ID but does not exist yet' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'in_progress' @{ output_file_id = 'o' })))
            $Faults.On('GET /v1/files/o/content', @(New-Answer @{ error = @{ message = 'No such File object: o' } } -Status 404))
            Get-ErrorId (Get-ErrorOf { Get-BatchResult b1 -BaseUri $Faults.BaseUri }) | Should -Be 'BatchNotFinished'
        }

        It 'reports BatchNotFound for an unknown batch, with the ID as its target' {
            $problem = Get-ErrorOf { Get-BatchResult batch_none }
            Get-ErrorId $problem | Should -Be 'BatchNotFound'
            $problem.TargetObject | Should -Be 'batch_none'
        }

        It 'reports BatchFailed once in the whole pipeline' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'failed' @{ errors = @{ data = @(@{ code = 'empty_file'; message = 'Nothing in it.'; line = $null }) } })))
            $problem = Get-ErrorOf { Wait-Batch b1 -BaseUri $Faults.BaseUri | Get-BatchResult }
            @($problem).Count | Should -Be 1
            Get-ErrorId $problem | Should -Be 'BatchFailed'
            "$problem" | Should -Match 'empty_file'
        }

        It 'returns nothing for a completed batch without files' {
            Set-Results -With @{ output_file_id = ''; request_counts = @{ total = 0; completed = 0; failed = 0 } }
            Get-BatchResult b1 -BaseUri $Faults.BaseUri -ErrorAction Stop | Should -BeNullOrEmpty
        }
    }

    Context 'result files that are missing, broken or late' {
        BeforeAll {
            $script:Requests = 1..4 | ForEach-Object { New-BatchRequest "Q$_" -Model m -CustomId "request-$_" }
            $script:Faulty = @{ 404 = New-Refusal 404; 403 = New-Refusal 403; 410 = New-Refusal 410; 500 = New-Refusal 500; page = New-Answer '<html>Sign in</html>' -ContentType text/html }
        }

        It 'warns at once about a second file that is not needed: <_>' -ForEach 404, 403, 410, 500, 'page' {
            Set-Results -Output (1..4 | ForEach-Object { New-WireLine "request-$_" }) -With @{ error_file_id = 'bad' }
            $Faults.On('GET /v1/files/bad/content', @($Faulty[$_]))
            $results = Get-BatchResult b1 -BaseUri $Faults.BaseUri -ErrorAction Stop -WarningAction SilentlyContinue -WarningVariable said
            $results.CustomId | Should -Be 'request-1', 'request-2', 'request-3', 'request-4'
            "$said" | Should -Match 'b1 cannot be read'
            @($Faults.Calls | Where-Object Path -Like '*/bad/*').Count | Should -Be 1
        }

        It 'reads the error file if the output file responds with <_>; the other requests are Missing, with the reason' -ForEach 403, 410, 500, 'page' {
            Set-Results -Errors (New-Failure 'request-2' 'server_error'), (New-Failure 'request-3' 'server_error') -With @{ output_file_id = 'bad'; request_counts = @{ total = 4; completed = 2; failed = 2 } }
            $Faults.On('GET /v1/files/bad/content', @($Faulty[$_]))
            $results = Get-BatchResult b1 -Request $Requests -Ordered -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem
            $results.CustomId | Should -Be 'request-1', 'request-2', 'request-3', 'request-4'
            $results.Status | Should -Be 'Missing', 'Failed', 'Failed', 'Missing'
            $results[0].Error.Code | Should -Be 'result_unavailable'
            $results[0].Error.Message | Should -Match ($_ -eq 'page' ? 'page' : $_)
            $problem.Count | Should -Be 1
            $problem[0].TargetObject | Should -Be 'b1'
        }

        It 'waits for a file that appears late' {
            Set-Results -Output (New-WireLine 'request-1') -With @{ error_file_id = 'late'; request_counts = @{ total = 2; completed = 1; failed = 1 } }
            $Faults.On('GET /v1/files/late/content', @((New-Refusal 404), (New-Answer (New-Failure 'request-2' 'server_error'))))
            (Get-BatchResult b1 -BaseUri $Faults.BaseUri -ErrorAction Stop).CustomId | Should -Be 'request-1', 'request-2'
        }

        It 'refreshes a batch object that does not name its files yet' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' 'completed' @{ request_counts = @{ total = 1; completed = 1; failed = 0 } })))
            $batch = Get-Batch b1 -BaseUri $Faults.BaseUri
            Set-Results -Output (New-WireLine 'request-1')
            ($batch | Get-BatchResult -ErrorAction Stop).CustomId | Should -Be 'request-1'
            ($batch | Save-BatchFile -Destination $TestDrive -ErrorAction Stop).Name | Should -Be 'b1_output.jsonl'
        }

        It 'polls again a batch that names its file late' {
            $none = New-Answer (New-WireBatch 'b1' 'completed' @{ request_counts = @{ total = 1; completed = 1; failed = 0 } })
            Set-Results -Output (New-WireLine 'request-1')
            $Faults.On('GET /v1/batches/b1', @($none, $none, (New-Answer (New-WireBatch 'b1' 'completed' @{ output_file_id = 'b1-out'; request_counts = @{ total = 1; completed = 1; failed = 0 } }))))
            (Get-BatchResult b1 -BaseUri $Faults.BaseUri -ErrorAction Stop).CustomId | Should -Be 'request-1'
        }

        It 'does not wait for the files of a batch that ended long ago' {
            Set-Results -With @{ output_file_id = 'gone'; completed_at = 1714508600; request_counts = @{ total = 1; completed = 1; failed = 0 } }
            $Faults.On('GET /v1/files/gone/content', @(New-Refusal 404))
            $results = Get-BatchResult b1 -Request $Requests[0] -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem
            $results.Status | Should -Be 'Missing'
            Get-ErrorId $problem[0] | Should -Be 'FileNotFound'
            @($Faults.Calls | Where-Object Path -Like '*/gone/*').Count | Should -Be 1
        }
    }

    Context 'downloads that break' {
        It 'resumes the download: <Kind>' -ForEach @{ Kind = 'with ranges'; Ranges = $true }, @{ Kind = 'without'; Ranges = $false } {
            Set-Results -Output (1..20 | ForEach-Object { New-WireLine "request-$_" })
            $text = ((1..20 | ForEach-Object { New-WireLine "request-$_" }) -join "`n") + "`n"
            $Faults.On('GET /v1/files/b1-out/content', @((New-Answer $text -CutAfter 1234 -Ranges:$Ranges), (New-Answer $text -Ranges:$Ranges)))
            (Get-BatchResult b1 -BaseUri $Faults.BaseUri).CustomId | Should -Be (1..20 | ForEach-Object { "request-$_" })
        }

        It 'reports DownloadIncomplete after the complete lines, if a file ends in the middle of a line' {
            Set-Results -Output 'x'
            $Faults.On('GET /v1/files/b1-out/content', @(New-Answer ((New-WireLine 'a') + "`n" + (New-WireLine 'b').Substring(0, 40))))
            $results = Get-BatchResult b1 -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem -WarningAction SilentlyContinue
            $results.CustomId | Should -Be 'a'
            Get-ErrorId $problem[0] | Should -Be 'DownloadIncomplete'
            $problem[0].CategoryInfo.Category | Should -Be 'ReadError'
        }

        It 'reports an invalid line, and continues with the others' {
            Set-Results -Output (New-WireLine 'a'), 'no json at all', (New-WireLine 'c')
            $results = Get-BatchResult b1 -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue -ErrorVariable problem -WarningAction SilentlyContinue
            $results.CustomId | Should -Be 'a', 'c'
            $problem.Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be 'DownloadIncomplete'
            "$($problem[0])" | Should -Match 'Line 2'
        }
    }

    Context 'files on disk' {
        It 'reads output and error files, also with wildcards' {
            Write-Lines 'w_output.jsonl' (New-WireLine 'a') | Out-Null
            Write-Lines 'w_error.jsonl' (New-Failure 'b' 'batch_expired') | Out-Null
            (Get-BatchResult -Path (Join-Path $TestDrive 'w_*.jsonl')).Status | Sort-Object | Should -Be 'Succeeded', 'Expired'
        }

        It 'reads what Save-BatchFile saved' {
            $folder = New-Item (Join-Path $TestDrive saved) -ItemType Directory
            $saved = 'a', 'b' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch | Wait-Batch | Save-BatchFile -Destination $folder
            (Get-BatchResult -Path $saved).Text | Sort-Object | Should -Be 'a', 'b'
            ($saved | Get-BatchResult).Text | Sort-Object | Should -Be 'a', 'b'
        }

        It 'reads files from the pipeline, joined together, and names with wildcard characters' {
            $one = Write-Lines 'p[1].jsonl' (New-WireLine 'request-1')
            Write-Lines 'p2.jsonl' (New-WireLine 'request-2') | Out-Null
            $requests = 'x', 'y', 'z' | New-BatchRequest -Model m
            $results = Get-ChildItem $TestDrive -Filter p*.jsonl | Get-BatchResult -Request $requests -Ordered
            $results.Status | Should -Be 'Succeeded', 'Succeeded', 'Missing'
            (Get-BatchResult -LiteralPath $one).CustomId | Should -Be 'request-1'
        }

        It 'reads CRLF, a BOM and blank lines' {
            $path = Join-Path $TestDrive crlf.jsonl
            [IO.File]::WriteAllText($path, "$(New-WireLine 'a')`r`n`r`n$(New-WireLine 'b')`r`n", [Text.UTF8Encoding]::new($true))
            (Get-BatchResult -Path $path -ErrorAction Stop).CustomId | Should -Be 'a', 'b'
        }

        It 'reports <Name>: <Id>' -ForEach @(
            @{ Name = 'a missing file'; Id = 'FileNotFound'; File = 'none.jsonl' }
            @{ Name = 'a wildcard that matches nothing'; Id = 'FileNotFound'; File = 'none*.jsonl' }
            @{ Name = 'a folder'; Id = 'NotAFile'; File = '' }
        ) {
            $path = $File ? (Join-Path $TestDrive $File) : "$TestDrive"
            $problem = Get-ErrorOf { Get-BatchResult -Path $path }
            Get-ErrorId $problem | Should -Be $Id
            $problem.TargetObject | Should -Be $path
        }
    }

    Context 'when a downstream command stops' {
        It 'returns at once, and closes the connection' {
            $first = (New-WireLine 'a') + "`n"
            Set-Results -Output 'x'
            $Faults.On('GET /v1/files/b1-out/content', @(New-Answer ($first + (New-WireLine 'b')) -StallAfter $first.Length))
            $clock = [Diagnostics.Stopwatch]::StartNew()
            (Get-BatchResult b1 -BaseUri $Faults.BaseUri | Select-Object -First 1).CustomId | Should -Be 'a'
            $clock.Elapsed.TotalSeconds | Should -BeLessThan 10
        }

        It 'leaves no temporary file of an ordered join' {
            Set-Results -Output (1..50 | ForEach-Object { New-WireLine "request-$_" })
            $requests = [string[]](1..50) | New-BatchRequest -Model m
            (Get-BatchResult b1 -Request $requests -Ordered -BaseUri $Faults.BaseUri | Select-Object -First 2).Count | Should -Be 2
        }
    }

    Context 'memory' {
        It 'does not grow with the size of the file' {
            # 120 MB of results, which would be several times larger as objects.
            # A quarter of them shows what the process needs for any file: about 80 MB for the garbage collector and compiled code.
            $path = Join-Path $TestDrive large.jsonl
            $quarter = Join-Path $TestDrive quarter.jsonl
            $line = [Text.Encoding]::UTF8.GetBytes((New-WireLine 'request-1' ('x' * 3000)) + "`n")
            foreach ($one in @{ Path = $path; Size = 120MB }, @{ Path = $quarter; Size = 30MB }) {
                $file = [IO.File]::Create($one.Path)
                try { foreach ($i in 1..([int]($one.Size / $line.Length))) { $file.Write($line, 0, $line.Length) } } finally { $file.Dispose() }
            }
            $run = Invoke-ChildShell @"
`$count = 0
Get-BatchResult -Path '$quarter' | ForEach-Object { `$count++ }
`$count = 0
`$process = [Diagnostics.Process]::GetCurrentProcess()
`$before = `$process.PeakWorkingSet64
Get-BatchResult -Path '$path' | ForEach-Object { `$count++ }
`$process.Refresh()
"`$count `$([int]((`$process.PeakWorkingSet64 - `$before) / 1MB))"
"@
            $count, $growth = $run.Output.Trim() -split ' '
            [int]$count | Should -Be ([int](120MB / $line.Length))
            [int]$growth | Should -BeLessThan 60
            Remove-Item $path, $quarter
        }
    }
}
