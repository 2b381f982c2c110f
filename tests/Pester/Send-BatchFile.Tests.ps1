BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    function Get-ServiceFileCount { @(Get-BatchFile -BaseUri $Server.Uri).Count }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Send-BatchFile' {
    BeforeEach { $Faults.Reset() }
    AfterEach { Get-Leftover | Should -BeNullOrEmpty }

    Context 'files' {
        It 'sends a file and describes it' {
            $path = New-InputFile 3
            $file = Send-BatchFile $path
            $file | Should -BeOfType ([InferenceBatch.Model.BatchFile])
            $file.Id | Should -Match '^file-'
            $file.InputFileId | Should -Be $file.Id
            $file.Endpoint | Should -Be '/v1/chat/completions'
            $file.RequestCount | Should -Be 3
            $file.Bytes | Should -Be (Get-Item $path).Length
            $file.Path | Should -Be $path
            $file.FileName | Should -Be 'in.jsonl'
        }

        It 'accepts files from Get-ChildItem, and from Get-Item with wildcard characters in the name' {
            New-InputFile 1 'a1.jsonl' | Out-Null
            New-InputFile 1 'a2.jsonl' | Out-Null
            Copy-Item (Join-Path $TestDrive a1.jsonl) -Destination (Join-Path $TestDrive 'odd[1].jsonl')
            (Get-ChildItem $TestDrive -Filter a?.jsonl | Send-BatchFile).FileName | Should -Be 'a1.jsonl', 'a2.jsonl'
            (Get-Item -LiteralPath (Join-Path $TestDrive 'odd[1].jsonl') | Send-BatchFile).RequestCount | Should -Be 1
        }

        It 'sends the target of a link' -Skip:$IsWindows {
            $path = New-InputFile 3 linked.jsonl
            $link = New-Item -ItemType SymbolicLink -Path (Join-Path $TestDrive link.jsonl) -Target $path
            $sent = Send-BatchFile $link
            $sent.Bytes | Should -Be (Get-Item -LiteralPath $path).Length
        }

        It 'accepts wildcards, PSDrives and a literal path' {
            New-InputFile 1 'b1.jsonl' | Out-Null
            Copy-Item (Join-Path $TestDrive b1.jsonl) -Destination (Join-Path $TestDrive 'b[x].jsonl')
            (Send-BatchFile (Join-Path $TestDrive 'b?.jsonl')).Count | Should -Be 1
            (Send-BatchFile TestDrive:/b1.jsonl).RequestCount | Should -Be 1
            (Send-BatchFile -LiteralPath (Join-Path $TestDrive 'b[x].jsonl')).RequestCount | Should -Be 1
        }

        It 'accepts the output of Export-BatchFile' {
            ('x', 'y' | New-BatchRequest -Model echo | Export-BatchFile (Join-Path $TestDrive exported.jsonl) | Send-BatchFile).RequestCount | Should -Be 2
        }

        It 'sends a plain file name that ends in .jsonl' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-1' }))
            $path = New-InputFile 1 'größe "1".txt'
            Send-BatchFile -LiteralPath $path -BaseUri $Faults.BaseUri | Out-Null
            $Faults.Calls[0].Text | Should -Match 'filename="[ -!#-~]+\.jsonl"'
            $Faults.Calls[0].Text | Should -Match 'name="purpose"\r\n\r\nbatch\r\n'
        }

        It 'sends the expiry of the file' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-1' }))
            Send-BatchFile (New-InputFile 1) -BaseUri $Faults.BaseUri -ExpiresAfterSec 7200 | Out-Null
            $Faults.Calls[0].Text | Should -Match 'name="expires_after\[seconds\]"\r\n\r\n7200\r\n'
            $Faults.Calls[0].Text | Should -Match 'name="expires_after\[anchor\]"\r\n\r\ncreated_at\r\n'
        }

        It 'fills in the known properties if the service returns only ID and time' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = '-a_b'; created_at = 1750000000000 }))
            $file = Send-BatchFile (New-InputFile 2) -BaseUri $Faults.BaseUri
            $file.Id | Should -Be '-a_b'
            $file.FileName | Should -Be 'in.jsonl'
            $file.RequestCount | Should -Be 2
            $file.CreatedAt.Year | Should -Be 2025
        }
    }

    Context 'requests from the pipeline' {
        It 'sends them as one file' {
            $file = 1..5 | ForEach-Object { "Q $_" } | New-BatchRequest -Model echo | Send-BatchFile
            @($file).Count | Should -Be 1
            $file.RequestCount | Should -Be 5
            $file.Path | Should -BeNullOrEmpty
        }

        It 'reports a repeated custom_id, names both places, and sends the others' {
            $requests = @('a' | New-BatchRequest -Model echo -CustomId one) + @('b' | New-BatchRequest -Model echo -CustomId one) + @('c' | New-BatchRequest -Model echo -CustomId two)
            $problem = $null
            $file = $requests | Send-BatchFile -ErrorVariable problem -ErrorAction SilentlyContinue
            $file.RequestCount | Should -Be 2
            Get-ErrorId $problem[0] | Should -Be 'DuplicateCustomId'
            $problem[0].TargetObject | Should -Be $requests[1]
            "$($problem[0])" | Should -Match "'one'"
        }

        It 'sends nothing without input' {
            $before = Get-ServiceFileCount
            @() | Send-BatchFile | Should -BeNullOrEmpty
            Get-ServiceFileCount | Should -Be $before
        }

        It 'splits at the limits of the service' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-1' }))
            $connection = Connect-BatchService -BaseUri $Faults.BaseUri -PassThru
            Connect-BatchService -BaseUri $Server.Uri
            $files = [string[]](1..50001) | New-BatchRequest -Model m | Send-BatchFile -Connection $connection
            $files.RequestCount | Should -Be 50000, 1
            $files.FileName | Should -Be 'requests-001.jsonl', 'requests-002.jsonl'
        }
    }

    Context 'results from the pipeline' {
        It 'sends the requests of results again' {
            $requests = 'a', 'b', 'c' | New-BatchRequest -Model echo
            $results = $requests | Send-BatchFile | New-Batch | Get-BatchResult -Wait -Request $requests
            $file = $results | Where-Object CustomId -NE 'request-2' | Send-BatchFile
            $file.RequestCount | Should -Be 2
            ($file | New-Batch | Get-BatchResult -Wait).CustomId | Sort-Object | Should -Be 'request-1', 'request-3'
        }

        It 'explains what to do about results without their request' {
            $lines = Join-Path $TestDrive out.jsonl
            New-WireLine 'request-1' | Set-Content $lines
            $result = Get-BatchResult -Path $lines
            $problem = Get-ErrorOf { $result | Send-BatchFile }
            Get-ErrorId $problem | Should -Be 'RequestMissing'
            $problem.TargetObject | Should -Be $result
            "$problem" | Should -Match '-RequestPath'
        }
    }

    Context '-WhatIf' {
        It 'checks, describes the operation, and sends nothing' {
            $before = Get-ServiceFileCount
            Send-BatchFile (New-InputFile 2) -WhatIf | Should -BeNullOrEmpty
            'a' | New-BatchRequest -Model echo | Send-BatchFile -WhatIf | Should -BeNullOrEmpty
            Get-ServiceFileCount | Should -Be $before
        }

        It 'still reports problems' {
            $path = Join-Path $TestDrive bad.jsonl
            Set-Content $path 'no json'
            Get-ErrorId (Get-ErrorOf { Send-BatchFile $path -WhatIf }) | Should -Be 'InvalidBatchFile'
        }
    }

    Context 'bad input' {
        It 'does not use a saved <Name> as a path' -ForEach @(
            @{ Name = 'BatchRequest'; Value = { New-BatchRequest x -Model m } }
            @{ Name = 'BatchResult'; Value = { [InferenceBatch.Model.BatchResult]@{ CustomId = 'a'; Status = 'Failed' } } }
        ) {
            $saved = Join-Path $TestDrive "$Name.xml"
            & $Value | Export-Clixml $saved
            Import-Clixml $saved | Send-BatchFile -ErrorVariable failures -ErrorAction SilentlyContinue
            "$($failures[0])" | Should -BeLike "*no longer a $Name. Save requests with Export-BatchFile and results with Save-BatchFile*"
        }

        It 'reports a missing file' {
            $problem = Get-ErrorOf { Send-BatchFile (Join-Path $TestDrive none.jsonl) }
            Get-ErrorId $problem | Should -Be 'FileNotFound'
            $problem.CategoryInfo.Category | Should -Be 'ObjectNotFound'
            $problem.TargetObject | Should -Be (Join-Path $TestDrive none.jsonl)
        }

        It 'reports an unreadable file' -Skip:(-not $IsLinux) {
            # Not even root can read the first byte of a process's memory.
            $problem = Get-ErrorOf { Send-BatchFile /proc/self/mem }
            Get-ErrorId $problem | Should -Be 'FileUnreadable'
            $problem.CategoryInfo.Category | Should -Be 'ReadError'
            $problem.TargetObject | Should -Be /proc/self/mem
        }

        It 'reports a folder' {
            $problem = Get-ErrorOf { Send-BatchFile $TestDrive }
            Get-ErrorId $problem | Should -Be 'NotAFile'
            $problem.TargetObject | Should -Be "$TestDrive"
        }

        It 'reports a wildcard that matches nothing' {
            $problem = Get-ErrorOf { Send-BatchFile (Join-Path $TestDrive 'no-*.jsonl') }
            Get-ErrorId $problem | Should -Be 'FileNotFound'
            $problem.TargetObject | Should -Be (Join-Path $TestDrive 'no-*.jsonl')
        }

        It 'reports a path of another provider' {
            $problem = Get-ErrorOf { Send-BatchFile Env:PATH }
            Get-ErrorId $problem | Should -Be 'NotAFileSystemPath'
            $problem.TargetObject | Should -Be 'Env:PATH'
        }

        It 'reports an empty file' {
            $path = Join-Path $TestDrive empty.jsonl
            [IO.File]::WriteAllText($path, '')
            $problem = Get-ErrorOf { Send-BatchFile $path }
            Get-ErrorId $problem | Should -Be 'InvalidBatchFile'
            "$problem" | Should -Match 'empty_file|no request'
        }

        It 'reports one invalid line in 50,000 with its number and code, and sends nothing' {
            $path = New-InputFile 50000 'big.jsonl'
            $lines = [IO.File]::ReadAllLines($path)
            $lines[31416] = $lines[31416].Substring(0, 40)
            [IO.File]::WriteAllLines($path, $lines)
            $before = Get-ServiceFileCount
            $problem = Get-ErrorOf { Send-BatchFile $path }
            @($problem).Count | Should -Be 1
            Get-ErrorId $problem | Should -Be 'InvalidBatchFile'
            $problem.CategoryInfo.Category | Should -Be 'InvalidData'
            "$problem" | Should -Match '31417|31,417'
            "$problem" | Should -Match 'invalid_json_line'
            $problem.TargetObject | Should -BeOfType ([InferenceBatch.Lines.BatchFileReport])
            Get-ServiceFileCount | Should -Be $before
        }

        It 'continues with the other files after an invalid one' {
            Set-Content (Join-Path $TestDrive c1.jsonl) 'no json'
            New-InputFile 1 'c2.jsonl' | Out-Null
            $sent = Send-BatchFile (Join-Path $TestDrive c?.jsonl) -ErrorAction SilentlyContinue -ErrorVariable problem
            $sent.FileName | Should -Be 'c2.jsonl'
            $problem.Count | Should -Be 1
        }

        It 'sends an invalid file with -SkipValidation, and leaves the check to the service' {
            Set-Content (Join-Path $TestDrive d1.jsonl) 'no json'
            (Send-BatchFile (Join-Path $TestDrive d1.jsonl) -SkipValidation).Id | Should -Match '^file-'
        }

        It 'rejects an expiry outside the range of the API' {
            { Send-BatchFile (New-InputFile 1) -ExpiresAfter 60 } | Should -Throw -ErrorId 'ParameterArgumentValidationError,*'
        }
    }

    Context 'encodings of editors and Out-File' {
        BeforeAll {
            # Returns the bytes of the file in the multipart form.
            function Get-SentFile($Call) { [regex]::Match($Call.Text, '(?s)name="file".*?\r\n\r\n(.*)\r\n--').Groups[1].Value }
            $text = '{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"Größe 😀"}]}}' + "`n"
        }

        It 'removes a byte order mark, without a warning' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-1' }))
            $path = Join-Path $TestDrive bom.jsonl
            [IO.File]::WriteAllText($path, $text, [Text.UTF8Encoding]::new($true))
            $file = Send-BatchFile $path -BaseUri $Faults.BaseUri -WarningVariable warnings
            $warnings | Should -BeNullOrEmpty
            Get-SentFile $Faults.Calls[0] | Should -BeExactly $text
            $file.Bytes | Should -Be ([Text.Encoding]::UTF8.GetByteCount($text))
            $verbose = Send-BatchFile $path -BaseUri $Faults.BaseUri -Verbose 4>&1 | Where-Object { $_ -is [Management.Automation.VerboseRecord] }
            "$verbose" | Should -BeLike '*byte order mark*not sent*'
        }

        It 'sends <Name> as UTF-8, and warns once' -ForEach @(
            @{ Name = 'UTF-16'; Encoding = [Text.UnicodeEncoding]::new($false, $true) }
            @{ Name = 'big-endian UTF-16'; Encoding = [Text.UnicodeEncoding]::new($true, $true) }
        ) {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-1' }))
            $path = Join-Path $TestDrive utf16.jsonl
            [IO.File]::WriteAllText($path, $text, $Encoding)
            $before = (Get-FileHash $path).Hash
            $file = Send-BatchFile $path -BaseUri $Faults.BaseUri -WarningVariable warnings -WarningAction SilentlyContinue
            $warnings | Should -HaveCount 1
            "$warnings" | Should -BeLike 'utf16.jsonl is UTF-16*converted*'
            Get-SentFile $Faults.Calls[0] | Should -BeExactly $text
            $file.Path | Should -BeExactly $path
            $file.RequestCount | Should -Be 1
            (Get-FileHash $path).Hash | Should -Be $before
        }

        It 'names the line that cannot be converted, and sends nothing' {
            $path = Join-Path $TestDrive half.jsonl
            [IO.File]::WriteAllBytes($path, [byte[]](0xFF, 0xFE) + [Text.Encoding]::Unicode.GetBytes($text + '{"custom_id":"') + [byte[]](0x3D, 0xD8) + [Text.Encoding]::Unicode.GetBytes("`"}`n"))
            $problem = Get-ErrorOf { Send-BatchFile $path -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'InvalidBatchFile'
            "$problem" | Should -BeLike "*$path*Line 2 *surrogate*"
            $problem.TargetObject | Should -BeExactly $path
            $Faults.Calls.Count | Should -Be 0
        }

        It 'sends a file unchanged with -SkipValidation' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-1' }))
            $path = Join-Path $TestDrive asis.jsonl
            [IO.File]::WriteAllText($path, $text, [Text.UTF8Encoding]::new($true))
            $null = Send-BatchFile $path -BaseUri $Faults.BaseUri -SkipValidation
            Get-SentFile $Faults.Calls[0] | Should -BeExactly ([char]0xFEFF + $text)
        }
    }

    Context 'errors of the service' {
        It 'reports <Status> as <Id>' -ForEach @(
            @{ Status = 401; Id = 'Unauthorized'; Category = 'AuthenticationError'; Calls = 1 }
            @{ Status = 403; Id = 'PermissionDenied'; Category = 'PermissionDenied'; Calls = 1 }
            @{ Status = 400; Id = 'ServiceRejected'; Category = 'InvalidOperation'; Calls = 1 }
            @{ Status = 413; Id = 'ServiceRejected'; Category = 'InvalidOperation'; Calls = 1 }
            @{ Status = 429; Id = 'RateLimited'; Category = 'LimitsExceeded'; Calls = 5 }
            @{ Status = 500; Id = 'ServiceUnavailable'; Category = 'ConnectionError'; Calls = 5 }
            @{ Status = 503; Id = 'ServiceUnavailable'; Category = 'ConnectionError'; Calls = 5 }
        ) {
            $Faults.On('POST /v1/files', @(New-Refusal $Status "no, with $Status"))
            $path = New-InputFile 1
            $problem = Get-ErrorOf { Send-BatchFile $path -BaseUri $Faults.BaseUri -ApiKey sk-secret-4711 }
            Get-ErrorId $problem | Should -Be $Id
            $problem.CategoryInfo.Category | Should -Be $Category
            $problem.TargetObject | Should -Be $path
            "$problem" | Should -Match $Status
            "$problem" | Should -Match "no, with $Status"
            "$problem" | Should -Match "req-$Status"
            $Faults.Calls.Count | Should -Be $Calls
            $problem | Format-List * -Force | Out-String -Width 500 | Should -Not -Match 'sk-secret-4711'
        }

        It 'reports 404 with HTML as NotSupportedByService' {
            $Faults.On('POST /v1/files', @(New-Answer '<html>404</html>' 404 -ContentType 'text/html'))
            $problem = Get-ErrorOf { Send-BatchFile (New-InputFile 1) -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'NotSupportedByService'
            "$problem" | Should -Not -Match '<html>'
        }

        It 'retries after a temporary failure, with the whole file' {
            $Faults.On('POST /v1/files', @((New-Refusal 503), (New-Refusal 429 -Header @{ 'Retry-After' = '0' }), (New-Answer @{ id = 'file-9' })))
            (Send-BatchFile (New-InputFile 4) -BaseUri $Faults.BaseUri).Id | Should -Be 'file-9'
            $Faults.Calls.Count | Should -Be 3
            foreach ($call in $Faults.Calls) { ([regex]'custom_id').Matches($call.Text).Count | Should -Be 4 }
        }

        It 'retries after a dropped connection' {
            $Faults.On('POST /v1/files', @((New-Answer -Drop), (New-Answer @{ id = 'file-9' })))
            (Send-BatchFile (New-InputFile 1) -BaseUri $Faults.BaseUri).Id | Should -Be 'file-9'
        }

        It 'ends the pipeline after a rejected key, because all other files would fail too' {
            $Faults.On('POST /v1/files', @(New-Refusal 401))
            $one = New-InputFile 1 'e1.jsonl'
            $two = New-InputFile 1 'e2.jsonl'
            { Send-BatchFile $one, $two -BaseUri $Faults.BaseUri -ErrorAction SilentlyContinue } | Should -Throw -ErrorId 'Unauthorized,*'
            $Faults.Calls.Count | Should -Be 1
        }
    }

    Context 'when a downstream command stops' {
        It 'stops sending, and leaves nothing behind' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-1' }))
            $one = New-InputFile 1 'f1.jsonl'
            $two = New-InputFile 1 'f2.jsonl'
            ($one, $two | Send-BatchFile -BaseUri $Faults.BaseUri | Select-Object -First 1).FileName | Should -Be 'f1.jsonl'
            $Faults.Calls.Count | Should -Be 1
        }
    }
}
