BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    $script:Sent = 1..3 | ForEach-Object { Send-BatchFile (New-InputFile $_ "in$_.jsonl") }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Get-BatchFile' {
    BeforeEach { $Faults.Reset() }

    Context 'the list' {
        It 'returns all files' {
            (Get-BatchFile).Id | Sort-Object | Should -Be ($Sent.Id | Sort-Object)
        }

        It 'filters by purpose' {
            (Get-BatchFile -Purpose batch).Count | Should -Be 3
            Get-BatchFile -Purpose batch_output | Should -BeNullOrEmpty
        }

        It 'reads all pages of a long list' {
            $first = @(1..100 | ForEach-Object { @{ id = "file-$_"; object = 'file' } })
            $Faults.On('GET /v1/files?limit=100', @(New-Answer @{ object = 'list'; data = $first; has_more = $true }))
            $Faults.On('GET /v1/files?limit=100&after=file-100', @(New-Answer @{ object = 'list'; data = @(@{ id = 'file-101' }); has_more = $false }))
            (Get-BatchFile -BaseUri $Faults.BaseUri).Count | Should -Be 101
            $Faults.Calls.Count | Should -Be 2
        }

        It 'stops paging when a downstream command stops' {
            foreach ($page in 0..20) {
                $files = @(1..100 | ForEach-Object { @{ id = "file-$($page * 100 + $_)" } })
                $Faults.On("GET /v1/files?limit=100$($page ? "&after=file-$($page * 100)" : '')", @(New-Answer @{ data = $files; has_more = $true }))
            }
            (Get-BatchFile -BaseUri $Faults.BaseUri | Select-Object -First 1).Id | Should -Be 'file-1'
            $Faults.Calls.Count | Should -BeLessOrEqual 5
        }

        It 'ends with an error if the service has no list' {
            $Faults.On('GET /v1/files', @(New-Answer '<h1>Not here</h1>' 404 -ContentType 'text/html'))
            { Get-BatchFile -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue } | Should -Throw -ErrorId 'NotSupportedByService,*'
        }
    }

    Context 'by ID' {
        It 'accepts IDs as argument, from the pipeline, and by property name' {
            (Get-BatchFile $Sent[0].Id, $Sent[2].Id).Bytes | Should -Be $Sent[0].Bytes, $Sent[2].Bytes
            ($Sent[1].Id | Get-BatchFile).Id | Should -Be $Sent[1].Id
            ($Sent | Get-BatchFile).Id | Should -Be $Sent.Id
            ([pscustomobject]@{ InputFileId = $Sent[1].Id } | Get-BatchFile).Id | Should -Be $Sent[1].Id
        }

        It 'reports an unknown ID, and continues with the others' {
            $found = Get-BatchFile file-none, $Sent[0].Id -ErrorAction SilentlyContinue -ErrorVariable problem
            $found.Id | Should -Be $Sent[0].Id
            Get-ErrorId $problem[0] | Should -Be 'FileNotFound'
            $problem[0].TargetObject | Should -Be 'file-none'
            $problem[0].CategoryInfo.Category | Should -Be 'ObjectNotFound'
        }

        It 'never treats an ID as a path: <_>' -ForEach '../batches', 'a/b?c=d', '..' {
            $Faults.On('GET /', @(New-Refusal 404))
            Get-ErrorId (Get-ErrorOf { Get-BatchFile $_ -BaseUri $Faults.BaseUri }) | Should -Be 'FileNotFound'
            foreach ($call in $Faults.Calls) { $call.Path | Should -Be "/v1/files/$([uri]::EscapeDataString($_))" }
        }
    }
}
