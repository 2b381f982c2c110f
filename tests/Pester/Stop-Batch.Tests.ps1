BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService 'echo?latency=30s' @{ CANCEL_GRACE = '0s' }
    $script:Faults = [FaultServer]::new()
    $script:File = Send-BatchFile (New-InputFile 3)
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Stop-Batch' {
    BeforeEach { $Faults.Reset() }

    Context 'what it does' {
        It 'cancels a batch, and -Wait waits for the end' {
            $batch = $File | New-Batch
            $stopped = $batch | Stop-Batch -Wait
            $stopped.Id | Should -Be $batch.Id
            $stopped.Status | Should -Be 'Cancelled'
        }

        It 'accepts IDs as argument, from the pipeline, and by property name' {
            $made = 1..3 | ForEach-Object { $File | New-Batch }
            (Stop-Batch $made[0].Id).Status | Should -BeIn 'Cancelling', 'Cancelled'
            ($made[1].Id | Stop-Batch).Id | Should -Be $made[1].Id
            ([pscustomobject]@{ BatchId = $made[2].Id } | Stop-Batch).Id | Should -Be $made[2].Id
        }

        It 'cancels several batches before it waits for any' {
            $made = 1..4 | ForEach-Object { $File | New-Batch }
            ($made | Stop-Batch -Wait).Status | Should -Be (@('Cancelled') * 4)
        }

        It 'marks the results of a cancelled batch' {
            $results = $File | New-Batch | Stop-Batch -Wait | Get-BatchResult
            $results.Count | Should -Be 3
            $results.Status | Select-Object -Unique | Should -Be 'Cancelled'
            $results[0].Error.Code | Should -Be 'batch_cancelled'
        }

        It 'polls each batch at its service with -Wait' {
            $other = [FaultServer]::new()
            try {
                foreach ($pair in @($Faults, 'here'), @($other, 'there')) {
                    $pair[0].On("GET /v1/batches/$($pair[1])", @((New-Answer (New-WireBatch $pair[1] 'in_progress')), (New-Answer (New-WireBatch $pair[1] 'cancelled'))))
                    $pair[0].On("POST /v1/batches/$($pair[1])/cancel", @(New-Answer (New-WireBatch $pair[1] 'cancelling')))
                }
                $batches = @(Get-Batch here -BaseUri $Faults.BaseUri) + @(Get-Batch there -BaseUri $other.BaseUri)
                ($batches | Stop-Batch -Wait -ErrorAction Stop).Id | Sort-Object | Should -Be 'here', 'there'
            }
            finally { $other.Dispose() }
        }
    }

    Context '-WhatIf' {
        It 'cancels nothing' {
            Stop-Batch b1 -WhatIf -BaseUri $Faults.BaseUri | Should -BeNullOrEmpty
            Stop-Batch b1 -Wait -WhatIf -BaseUri $Faults.BaseUri | Should -BeNullOrEmpty
            $Faults.Calls | Should -BeNullOrEmpty
        }
    }

    Context 'errors' {
        It 'reports <Name> as <Id>, after one request' -ForEach @(
            @{ Name = 'a batch that has ended'; Id = 'BatchNotCancellable'; Category = 'InvalidOperation'; Answer = { New-Refusal 409 "Cannot cancel a batch with status 'completed'." } }
            @{ Name = '404 JSON'; Id = 'BatchNotFound'; Category = 'ObjectNotFound'; Answer = { New-Refusal 404 } }
            @{ Name = '404 HTML'; Id = 'NotSupportedByService'; Category = 'NotImplemented'; Answer = { New-Answer '<html></html>' 404 -ContentType 'text/html' } }
            @{ Name = '405'; Id = 'NotSupportedByService'; Category = 'NotImplemented'; Answer = { New-Answer '' 405 } }
            @{ Name = '501'; Id = 'NotSupportedByService'; Category = 'NotImplemented'; Answer = { New-Answer '{}' 501 } }
            @{ Name = '401'; Id = 'Unauthorized'; Category = 'AuthenticationError'; Answer = { New-Refusal 401 } }
        ) {
            $Faults.On('POST /v1/batches/b1/cancel', @(& $Answer))
            $problem = Get-ErrorOf { Stop-Batch b1 -Wait -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be $Id
            $problem.CategoryInfo.Category | Should -Be $Category
            $problem.TargetObject | Should -Be 'b1'
            $Faults.Calls.Count | Should -Be 1
        }

        It 'reports a batch of the real service that has ended' {
            $batch = $File | New-Batch | Stop-Batch -Wait
            $Faults.On('POST /v1/batches/', @(New-Refusal 409 "Cannot cancel a batch with status 'completed'."))
            $problem = Get-ErrorOf { $batch | Stop-Batch -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'BatchNotCancellable'
            "$problem" | Should -Match 'Cannot cancel'
        }

        It 'continues with the others' {
            $batch = $File | New-Batch
            $stopped = Stop-Batch batch_none, $batch.Id -ErrorAction SilentlyContinue -ErrorVariable problem
            $stopped.Id | Should -Be $batch.Id
            Get-ErrorId $problem[0] | Should -Be 'BatchNotFound'
        }
    }
}
