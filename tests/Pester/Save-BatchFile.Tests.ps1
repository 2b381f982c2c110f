BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    $script:Source = New-InputFile 20
    $script:Sent = Send-BatchFile $Source
    $script:Bytes = [byte[]]([IO.File]::ReadAllBytes($Source))
    function Get-Hash($Path) { (Get-FileHash -LiteralPath $Path).Hash }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Save-BatchFile' {
    BeforeEach {
        $Faults.Reset()
        $script:Folder = (New-Item (Join-Path $TestDrive "to-$([guid]::NewGuid().ToString('N').Substring(0, 6))") -ItemType Directory).FullName
    }

    Context 'where it writes' {
        It 'writes to a file' {
            $saved = Save-BatchFile $Sent.Id (Join-Path $Folder mine.jsonl)
            $saved | Should -BeOfType ([IO.FileInfo])
            $saved.FullName | Should -Be (Join-Path $Folder mine.jsonl)
            Get-Hash $saved | Should -Be (Get-Hash $Source)
            (Get-ChildItem $Folder -Force).Name | Should -Be 'mine.jsonl'
        }

        It 'writes into a folder, named after the ID if only that is known' {
            (Save-BatchFile $Sent.Id $Folder).Name | Should -Be "$($Sent.Id).jsonl"
        }

        It 'writes into a folder, with the name of the file' {
            ($Sent | Save-BatchFile -Destination $Folder).FullName | Should -Be (Join-Path $Folder in.jsonl)
        }

        It 'writes into the current folder by default' {
            Push-Location $Folder
            try { (Save-BatchFile $Sent.Id).DirectoryName | Should -Be $Folder } finally { Pop-Location }
        }

        It 'accepts a PSDrive' {
            New-Item TestDrive:/drive -ItemType Directory | Out-Null
            Save-BatchFile $Sent.Id TestDrive:/drive/x.jsonl | Out-Null
            'TestDrive:/drive/x.jsonl' | Should -Exist
        }

        It 'never writes outside the folder because of a name from the service' {
            $Faults.On('GET /v1/files/f1', @(New-Answer @{ id = 'f1'; filename = '../../evil.jsonl' }))
            $Faults.On('GET /v1/files/f1/content', @(New-Answer 'x'))
            $saved = Get-BatchFile f1 -BaseUri $Faults.BaseUri | Save-BatchFile -Destination $Folder
            $saved.DirectoryName | Should -Be $Folder
        }

        It 'writes the output and the error file of a batch' {
            $Faults.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1' -With @{ output_file_id = 'out'; error_file_id = 'err' })))
            $Faults.On('GET /v1/files/out/content', @(New-Answer "ok`n"))
            $Faults.On('GET /v1/files/err/content', @(New-Answer "bad`n"))
            $saved = Get-Batch b1 -BaseUri $Faults.BaseUri | Save-BatchFile -Destination $Folder
            $saved.Name | Should -Be 'b1_output.jsonl', 'b1_error.jsonl'
            Get-Content $saved[1] | Should -Be 'bad'
        }
    }

    Context 'what it does not overwrite' {
        It 'reports FileExists for an existing file without -Force' {
            $path = Join-Path $Folder mine.jsonl
            Set-Content $path 'precious'
            $problem = Get-ErrorOf { Save-BatchFile $Sent.Id $path }
            Get-ErrorId $problem | Should -Be 'FileExists'
            $problem.CategoryInfo.Category | Should -Be 'ResourceExists'
            $problem.TargetObject | Should -Be $path
            Get-Content $path | Should -Be 'precious'
        }

        It 'replaces it with -Force' {
            $path = Join-Path $Folder mine.jsonl
            Set-Content $path 'old'
            Save-BatchFile $Sent.Id $path -Force | Out-Null
            Get-Hash $path | Should -Be (Get-Hash $Source)
        }

        It 'does not replace a file of the same call, even with -Force' {
            $other = Send-BatchFile (New-InputFile 2 'two.jsonl')
            $path = Join-Path $Folder one.jsonl
            $saved = $Sent.Id, $other.Id | Save-BatchFile -Destination $path -Force -ErrorAction SilentlyContinue -ErrorVariable problem
            @($saved).Count | Should -Be 1
            Get-ErrorId $problem[0] | Should -Be 'FileExists'
            Get-Hash $path | Should -Be (Get-Hash $Source)
        }
    }

    Context '-WhatIf' {
        It 'writes nothing and sends no request' {
            Save-BatchFile f1 $Folder -WhatIf -BaseUri $Faults.BaseUri | Should -BeNullOrEmpty
            $Faults.Calls | Should -BeNullOrEmpty
            Get-ChildItem $Folder -Force | Should -BeNullOrEmpty
        }
    }

    Context 'errors' {
        It '<What> leaves nothing behind: <Id>' -ForEach @(
            @{ What = 'an unknown file'; Status = 404; Id = 'FileNotFound' }
            @{ What = 'a wrong key'; Status = 401; Id = 'Unauthorized' }
            @{ What = 'a key without permission'; Status = 403; Id = 'PermissionDenied' }
            @{ What = 'an error of the service'; Status = 500; Id = 'ServiceUnavailable' }
        ) {
            $Faults.On('GET /v1/files/f1/content', @(New-Refusal $Status))
            $problem = Get-ErrorOf { Save-BatchFile f1 $Folder -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be $Id
            $problem.TargetObject | Should -Be 'f1'
            Get-ChildItem $Folder -Force | Should -BeNullOrEmpty
        }

        It 'reports a folder that does not exist, with its name' {
            $path = Join-Path $Folder none/x.jsonl
            $problem = Get-ErrorOf { Save-BatchFile $Sent.Id $path }
            Get-ErrorId $problem | Should -Be 'FileNotFound'
            $problem.TargetObject | Should -Be $path
            "$problem" | Should -BeLike "'*' cannot be written because the folder '*' does not exist. To create it: New-Item -ItemType Directory '$(Split-Path $path)'"
        }

        It 'reports FileUnwritable for a path that cannot be written, and sends no request' -Skip:(-not $IsLinux) {
            $problem = Get-ErrorOf { Save-BatchFile f1 /proc/x.jsonl -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'FileUnwritable'
            $problem.CategoryInfo.Category | Should -Be 'WriteError'
            $problem.TargetObject | Should -Be '/proc/x.jsonl'
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'reports a destination of another provider' {
            Get-ErrorId (Get-ErrorOf { Save-BatchFile $Sent.Id Env:x }) | Should -Be 'NotAFileSystemPath'
        }

        It 'reports a batch without files, with its ID' {
            $Faults.On('GET /v1/batches/run', @(New-Answer (New-WireBatch 'run' 'in_progress')))
            $Faults.On('GET /v1/batches/end', @(New-Answer (New-WireBatch 'end' 'failed')))
            Get-ErrorId (Get-ErrorOf { Get-Batch run -BaseUri $Faults.BaseUri | Save-BatchFile -Destination $Folder }) | Should -Be 'BatchNotFinished'
            Get-ErrorId (Get-ErrorOf { Get-Batch end -BaseUri $Faults.BaseUri | Save-BatchFile -Destination $Folder }) | Should -Be 'FileNotFound'
        }
    }

    Context 'an incomplete file' {
        It 'is saved with a warning' {
            $Faults.On('GET /v1/files/f1/content', @(New-Answer "ok`n" -Header @{ 'X-Incomplete' = 'true' }))
            $saved = Save-BatchFile f1 $Folder -BaseUri $Faults.BaseUri -WarningVariable said -WarningAction SilentlyContinue
            $saved.Length | Should -Be 3
            "$said" | Should -Match 'f1 is incomplete'
        }
    }

    Context 'a full disk' {
        It 'is reported as such, and keeps the existing file' -Skip:(-not ($IsLinux -and (id -u) -eq '0')) {
            mount -t tmpfs -o size=64k tmpfs $Folder
            try {
                $path = Join-Path $Folder mine.jsonl
                'old' | Set-Content $path
                $Faults.On('GET /v1/files/f1/content', @(New-Answer ([byte[]]::new(200000))))
                $problem = Get-ErrorOf { Save-BatchFile f1 $path -Force -BaseUri $Faults.BaseUri }
                Get-ErrorId $problem | Should -Be 'FileUnwritable'
                "$problem" | Should -Match 'No space left'
                Get-Content $path | Should -Be 'old'
            }
            finally { umount $Folder }
        }
    }

    Context 'an interrupted download' {
        It 'resumes' {
            $Faults.On('GET /v1/files/f1/content', @((New-Answer $Bytes -CutAfter 500 -Ranges), (New-Answer $Bytes -Ranges)))
            $saved = Save-BatchFile f1 $Folder -BaseUri $Faults.BaseUri
            Get-Hash $saved | Should -Be (Get-Hash $Source)
            $Faults.Calls[1].Headers['Range'] | Should -Be 'bytes=500-'
        }

        It 'starts again if the service does not support ranges' {
            $Faults.On('GET /v1/files/f1/content', @((New-Answer $Bytes -CutAfter 500), (New-Answer $Bytes)))
            Get-Hash (Save-BatchFile f1 $Folder -BaseUri $Faults.BaseUri) | Should -Be (Get-Hash $Source)
        }

        It 'is resumed by the next call, and no partial file has the final name' {
            $Faults.On('GET /v1/files/f1/content', @((New-Answer $Bytes -CutAfter 700 -Ranges), (New-Refusal 403)))
            $path = Join-Path $Folder mine.jsonl
            Get-ErrorId (Get-ErrorOf { Save-BatchFile f1 $path -BaseUri $Faults.BaseUri }) | Should -Be 'PermissionDenied'
            $path | Should -Not -Exist
            $Faults.Reset()
            $Faults.On('GET /v1/files/f1', @(New-Answer @{ id = 'f1'; bytes = $Bytes.Length }))
            $Faults.On('GET /v1/files/f1/content', @(New-Answer $Bytes -Ranges))
            Get-Hash (Save-BatchFile f1 $path -BaseUri $Faults.BaseUri) | Should -Be (Get-Hash $Source)
            ($Faults.Calls | Where-Object Path -Like '*/content').Headers['Range'] | Should -Be 'bytes=700-'
            (Get-ChildItem $Folder -Force).Name | Should -Be 'mine.jsonl'
        }

        It 'closes the connection on Ctrl+C, and no partial file has the final name' -Skip:$IsWindows {
            $Faults.On('GET /v1/files/f1/content', @(New-Answer $Bytes -StallAfter 500 -Ranges))
            $shell = Start-ChildShell "Save-BatchFile f1 '$Folder' -BaseUri $($Faults.BaseUri)"
            try {
                Wait-Until { $Faults.OpenAnswers -eq 1 } 60 | Should -BeTrue
                kill -INT $shell.Id
                $shell.WaitForExit(10000) | Should -BeTrue
            }
            finally { if (-not $shell.HasExited) { $shell.Kill() } }
            Wait-Until { $Faults.OpenAnswers -eq 0 } | Should -BeTrue
            Get-ChildItem $Folder -Force | Where-Object Name -NotLike '*.part' | Should -BeNullOrEmpty
        }

        It 'ends with DownloadIncomplete if no more data arrives' {
            $Faults.On('GET /v1/files/f1/content', @(New-Answer $Bytes -CutAfter 0 -Ranges))
            $problem = Get-ErrorOf { Save-BatchFile f1 $Folder -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'DownloadIncomplete'
            $problem.TargetObject | Should -Be 'f1'
            Get-ChildItem $Folder -Force | Should -BeNullOrEmpty
        }
    }
}
