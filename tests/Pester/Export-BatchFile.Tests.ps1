BeforeAll {
    . $PSScriptRoot/Common.ps1

    # Returns all names in the folder, including hidden ones: a command must not leave temporary files behind.
    function Get-Name {
        (Get-ChildItem -LiteralPath $folder -Force).Name
    }
}

Describe 'Export-BatchFile' {
    BeforeEach {
        $folder = Join-Path $TestDrive ([guid]::NewGuid())
        $null = New-Item -ItemType Directory $folder
        $path = Join-Path $folder 'requests.jsonl'
        $requests = 1..5 | ForEach-Object { "p$_" } | New-BatchRequest -Model m
    }

    Context 'the file' {
        It 'has one line for each request, as the Batch API documents it' {
            $file = $requests | Export-BatchFile $path
            $file | Should -BeOfType System.IO.FileInfo
            $file.FullName | Should -BeExactly $path
            $lines = [System.IO.File]::ReadAllText($path) -split "`n"
            $lines[0] | Should -BeExactly (
                '{"custom_id":"request-1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"p1"}]}}')
            $lines | Should -HaveCount 6
            $lines[5] | Should -BeExactly ''
            Get-Name | Should -Be 'requests.jsonl'
        }

        It 'has neither byte order mark nor carriage returns, and is valid' {
            $null = 'ü 😀' | New-BatchRequest -Model m | Export-BatchFile $path
            $bytes = [System.IO.File]::ReadAllBytes($path)
            $bytes[0] | Should -Be ([byte][char]'{')
            $bytes | Should -Not -Contain 13
            Test-BatchFile $path -Quiet | Should -BeTrue
        }

        It 'is found through a PSDrive' {
            $null = New-PSDrive -Name batchdrive -PSProvider FileSystem -Root $folder
            ($requests | Export-BatchFile batchdrive:/there.jsonl).FullName | Should -BeExactly (Join-Path $folder there.jsonl)
        }

        It 'is returned as from Get-Item, with size and folder' {
            $file = $requests | Export-BatchFile $path
            $file.PSPath | Should -BeExactly (Get-Item $path).PSPath
            $file | Out-String | Should -Match ([string]$file.Length)
        }

        It 'treats a name with wildcard characters literally' {
            ($requests | Export-BatchFile (Join-Path $folder 'a[1].jsonl')).Name | Should -BeExactly 'a[1].jsonl'
        }
    }

    Context 'splitting' {
        It 'splits at -MaxRequest and numbers the parts' {
            $files = $requests | Export-BatchFile $path -MaxRequest 2
            $files.Name | Should -Be 'requests-001.jsonl', 'requests-002.jsonl', 'requests-003.jsonl'
            $files | ForEach-Object { @(Import-BatchFile $_).Count } | Should -Be 2, 2, 1
            ($files | Import-BatchFile).CustomId | Should -Be $requests.CustomId
            Get-Name | Should -HaveCount 3
        }

        It 'splits at -MaxSize, to the byte' {
            $line = ($requests[0] | Export-BatchFile (Join-Path $folder one.jsonl)).Length
            ($requests | Export-BatchFile $path -MaxSize (5 * $line)).Name | Should -Be 'requests.jsonl'
            $files = $requests | Export-BatchFile $path -MaxSize (5 * $line - 1) -Force
            $files.Name | Should -Be 'requests-001.jsonl', 'requests-002.jsonl'
            $files | ForEach-Object { $_.Length } | Should -Be (4 * $line), $line
        }

        It 'keeps the name if the last request just fits' {
            ($requests | Export-BatchFile $path -MaxRequest 5).Name | Should -Be 'requests.jsonl'
        }

        It 'reports RequestTooLarge for a request over -MaxSize, names it, and writes the others' {
            $large = New-BatchRequest ('x' * 1000) -Model m -CustomId 'large'
            $file = @($requests[0], $large, $requests[1]) | Export-BatchFile $path -MaxSize 500 -ErrorVariable failures -ErrorAction SilentlyContinue
            (Import-BatchFile $file).CustomId | Should -Be 'request-1', 'request-2'
            $failures | Should -HaveCount 1
            Get-ErrorId $failures[0] | Should -BeExactly 'RequestTooLarge'
            $failures[0].TargetObject | Should -Be $large
            $failures[0].Exception.Message | Should -BeLike "*'large'*"
        }
    }

    Context 'what it rejects' {
        It 'reports FileExists, and leaves the file unchanged, without -Force' {
            Set-Content $path 'mine'
            $failure = Get-Failure { $requests | Export-BatchFile $path }
            Get-ErrorId $failure | Should -BeExactly 'FileExists'
            $failure.TargetObject | Should -BeExactly $path
            Get-Content $path | Should -BeExactly 'mine'
            $null = $requests | Export-BatchFile $path -Force
            Get-Content $path | Should -HaveCount 5
        }

        It 'replaces no existing part, and leaves no other part behind, without -Force' {
            Set-Content (Join-Path $folder requests-002.jsonl) 'mine'
            $null = Get-Failure { $requests | Export-BatchFile $path -MaxRequest 2 }
            Get-Name | Should -Be 'requests-002.jsonl'
            Get-Content (Join-Path $folder requests-002.jsonl) | Should -BeExactly 'mine'
        }

        It 'reports <Id> for <Name>' -ForEach @(
            @{ Name = 'a folder'; Given = '.'; Id = 'NotAFile' }
            @{ Name = 'a folder that does not exist'; Given = 'nowhere/a.jsonl'; Id = 'FileNotFound' }
        ) {
            $failure = Get-Failure { $requests | Export-BatchFile (Join-Path $folder $Given) }
            Get-ErrorId $failure | Should -BeExactly $Id
        }

        It 'reports <Id> for <Given>' -ForEach @(
            @{ Given = 'env:a.jsonl'; Id = 'NotAFileSystemPath' }
            @{ Given = 'nodrive:/a.jsonl'; Id = 'FileNotFound' }
        ) {
            Get-ErrorId (Get-Failure { $requests | Export-BatchFile $Given }) | Should -BeExactly $Id
        }

        It 'reports DuplicateCustomId for an ID that was already written, and names both places' {
            $null = @($requests[0], $requests[1], $requests[0]) | Export-BatchFile $path -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-Content $path | Should -HaveCount 2
            Get-ErrorId $failures[0] | Should -BeExactly 'DuplicateCustomId'
            $failures[0].Exception.Message | Should -BeLike "Request 3 *request 1 *'request-1'*"
        }
    }

    Context 'ending early' {
        It 'writes nothing under -WhatIf' {
            $requests | Export-BatchFile $path -WhatIf | Should -BeNullOrEmpty
            Get-Name | Should -BeNullOrEmpty
        }

        It 'writes nothing, and warns, if there is no request' {
            @() | Export-BatchFile $path -WarningVariable warnings -WarningAction SilentlyContinue | Should -BeNullOrEmpty
            $warnings | Should -HaveCount 1
            Get-Name | Should -BeNullOrEmpty
        }

        It 'leaves nothing behind if an upstream command throws' {
            $failure = Get-Failure { & { $requests; throw 'enough' } | Export-BatchFile $path }
            $failure.Exception.Message | Should -BeExactly 'enough'
            Get-Name | Should -BeNullOrEmpty
        }

        It 'writes to the target of a link, and keeps the link' -Skip:$IsWindows {
            $target = Join-Path $TestDrive target.jsonl
            $link = Join-Path $TestDrive link.jsonl
            Set-Content $target old
            $null = New-Item -ItemType SymbolicLink -Path $link -Target $target
            $null = 'p' | New-BatchRequest -Model m | Export-BatchFile $link -Force
            (Get-Item $link).LinkType | Should -Be 'SymbolicLink'
            Get-Content $target | Should -Match 'custom_id'
        }

        It 'does not replace a device with a file' -Skip:$IsWindows {
            Get-ErrorId (Get-Failure { 'p' | New-BatchRequest -Model m | Export-BatchFile /dev/null -Force }) | Should -Be 'NotAFile'
            (Get-Item /dev/null).UnixMode | Should -Match '^c'
        }

        It 'leaves nothing behind on Ctrl+C' -Skip:$IsWindows {
            $module = $ModulePath
            $script = "Import-Module '$module'; & { while (`$true) { 'p' } } | New-BatchRequest -Model m | Export-BatchFile '$path'"
            $file, $arguments = @(Get-InterruptiblePrefix) + $PowerShell + '-NoProfile', '-NonInteractive', '-Command', "`"$script`""
            $child = Start-Process $file -ArgumentList $arguments -PassThru
            try {
                $deadline = [datetime]::UtcNow.AddSeconds(60)
                while (-not (Get-Name) -and [datetime]::UtcNow -lt $deadline) {
                    Start-Sleep -Milliseconds 50
                }

                Get-Name | Should -HaveCount 1
                kill -INT $child.Id
                $child.WaitForExit(30000) | Should -BeTrue
                Get-Name | Should -BeNullOrEmpty
            }
            finally {
                if (-not $child.HasExited) {
                    $child.Kill()
                }
            }
        }
    }
}
