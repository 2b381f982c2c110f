BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'Import-BatchFile' {
    BeforeAll {
        $path = Join-Path $TestDrive 'requests.jsonl'
        $null = 'a', 'ü 😀' | New-BatchRequest -Model m -SystemPrompt s | Export-BatchFile $path
    }

    Context 'what it returns' {
        It 'returns the requests unchanged, their bodies byte for byte' {
            $requests = Import-BatchFile $path
            $requests | Should -BeOfType InferenceBatch.Model.BatchRequest
            $requests.CustomId | Should -Be 'request-1', 'request-2'
            $requests.Url | Should -Be '/v1/chat/completions', '/v1/chat/completions'
            $requests[1].Body | Should -BeExactly '{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"ü 😀"}]}'
        }

        It 'returns requests from which Export-BatchFile writes the same file' {
            $copy = Join-Path $TestDrive 'copy.jsonl'
            $null = Import-BatchFile $path | Export-BatchFile $copy
            (Get-FileHash $copy).Hash | Should -Be (Get-FileHash $path).Hash
        }

        It 'skips blank lines, and accepts a byte order mark and CR LF' {
            $odd = Join-Path $TestDrive 'odd.jsonl'
            $line = '{"custom_id":"x","method":"POST","url":"/v1/completions","body":{}}'
            Set-Content $odd -Value "$line`r`n`r`n  `r`n$($line.Replace('"x"', '"y"'))" -Encoding utf8BOM -NoNewline
            (Import-BatchFile $odd).CustomId | Should -Be 'x', 'y'
        }

        It 'reads a line that is longer than any buffer' {
            $long = Join-Path $TestDrive 'long.jsonl'
            $text = 'x' * 1MB
            $null = $text, 'short' | New-BatchRequest -Model m | Export-BatchFile $long
            $requests = Import-BatchFile $long
            $requests[0].Body.Length | Should -BeGreaterThan 1MB
            $requests[1].CustomId | Should -BeExactly 'request-2'
        }
    }

    Context 'invalid lines' {
        It 'reports InvalidBatchFile with the line number, and reads the other lines' {
            $bad = Join-Path $TestDrive 'bad.jsonl'
            $good = '{"custom_id":"x","method":"POST","url":"/v1/completions","body":{}}'
            Set-Content $bad $good, 'nonsense', '', '[]', '{"custom_id":"z"}', '{"body":{}}', $good.Replace('"x"', '"y"')
            $requests = Import-BatchFile $bad -ErrorVariable failures -ErrorAction SilentlyContinue
            $requests.CustomId | Should -Be 'x', 'y'
            $failures | ForEach-Object { Get-ErrorId $_ } | Should -Be (@('InvalidBatchFile') * 4)
            $failures[0].Exception.Message | Should -BeLike "$bad, line 2: *"
            $failures[1].Exception.Message | Should -BeLike '*line 4: *'
            $failures[2].Exception.Message | Should -BeLike '*line 5: *body*'
            $failures[3].Exception.Message | Should -BeLike '*line 6: *custom_id*'
            $failures[0].TargetObject | Should -BeExactly $bad
        }

        It 'explains once how to convert a UTF-16 file' {
            $wide = Join-Path $TestDrive 'wide.jsonl'
            Set-Content $wide '{"custom_id":"x","body":{}}', '{"custom_id":"y","body":{}}' -Encoding unicode
            Import-BatchFile $wide -ErrorVariable failures -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
            $failures | Should -HaveCount 1
            $failures[0].Exception.Message | Should -BeLike '*UTF-16*utf8NoBOM*'
        }
    }

    Context 'paths' {
        BeforeAll {
            $odd = Join-Path $TestDrive 'odd[1].jsonl'
            Copy-Item -LiteralPath $path -Destination $odd
        }

        It 'accepts wildcards' {
            @(Import-BatchFile (Join-Path $TestDrive 'req*.jsonl')) | Should -HaveCount 2
        }

        It 'accepts a name with wildcard characters as -LiteralPath, and a FileInfo with such a name' {
            @(Import-BatchFile -LiteralPath $odd) | Should -HaveCount 2
            @(Get-Item -LiteralPath $odd | Import-BatchFile) | Should -HaveCount 2
            @([System.IO.FileInfo]::new($odd) | Import-BatchFile) | Should -HaveCount 2
        }

        It 'accepts paths from the pipeline and a PSDrive' {
            @('TestDrive:/requests.jsonl' | Import-BatchFile) | Should -HaveCount 2
        }

        It 'reports <Id> for <Name>, and continues' -ForEach @(
            @{ Name = 'a file that does not exist'; Given = 'nowhere.jsonl'; Id = 'FileNotFound' }
            @{ Name = 'a wildcard that matches nothing'; Given = '*.nothing'; Id = 'FileNotFound' }
            @{ Name = 'a folder'; Given = '.'; Id = 'NotAFile' }
        ) {
            $given = Join-Path $TestDrive $Given
            $requests = Import-BatchFile $given, $path -ErrorVariable failures -ErrorAction SilentlyContinue
            $requests | Should -HaveCount 2
            $failures | Should -HaveCount 1
            Get-ErrorId $failures[0] | Should -BeExactly $Id
        }

        It 'reports NotAFileSystemPath for the path of another provider' {
            $null = Import-BatchFile env:PATH -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-ErrorId $failures[0] | Should -BeExactly 'NotAFileSystemPath'
        }

        It 'reports FileUnreadable for a file that another process has locked' {
            $lock = [System.IO.File]::Open($path, 'Open', 'ReadWrite', 'None')
            try {
                $null = Import-BatchFile $path -ErrorVariable failures -ErrorAction SilentlyContinue
                Get-ErrorId $failures[0] | Should -BeExactly 'FileUnreadable'
                $failures[0].TargetObject | Should -BeExactly $path
            }
            finally {
                $lock.Dispose()
            }
        }
    }

    Context 'streaming' {
        It 'closes the file when a downstream command stops' {
            (Import-BatchFile $path | Select-Object -First 1).CustomId | Should -BeExactly 'request-1'
            { [System.IO.File]::Open($path, 'Open', 'ReadWrite', 'None').Dispose() } | Should -Not -Throw
        }

        It 'reads a large file with little memory' -Tag Long {
            $large = Join-Path $TestDrive 'large.jsonl'
            $text = 'x' * 4000
            $null = & { foreach ($i in 1..50000) { $text } } | New-BatchRequest -Model m | Export-BatchFile $large
            $module = $ModulePath
            $peak = Invoke-PowerShell -Command @"
                Import-Module '$module'
                `$process = [System.Diagnostics.Process]::GetCurrentProcess()
                `$null = Import-BatchFile '$path' | Measure-Object
                `$process.Refresh(); `$before = `$process.PeakWorkingSet64
                `$null = Import-BatchFile '$large' | Measure-Object
                `$process.Refresh(); `$process.PeakWorkingSet64 - `$before
"@
            [long]$peak | Should -BeLessThan 100MB
        }
    }
}
