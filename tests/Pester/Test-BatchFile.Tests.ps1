BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'Test-BatchFile' {
    BeforeAll {
        $valid = Join-Path $TestDrive 'valid.jsonl'
        $null = 'a', 'b', 'c' | New-BatchRequest -Model m | Export-BatchFile $valid
        $invalid = Join-Path $TestDrive 'invalid.jsonl'
        $line = '{"custom_id":"x","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user"}]}}'
        Set-Content $invalid $line, 'nonsense', $line
    }

    Context 'the report' {
        It 'describes a valid file' {
            $report = Test-BatchFile $valid
            $report | Should -BeOfType InferenceBatch.Lines.BatchFileReport
            $report.Path | Should -BeExactly $valid
            $report.IsValid | Should -BeTrue
            $report.RequestCount | Should -Be 3
            $report.Bytes | Should -Be (Get-Item $valid).Length
            $report.Endpoint | Should -BeExactly '/v1/chat/completions'
            $report.Models | Should -Be 'm'
            $report.Issues | Should -BeNullOrEmpty
        }

        It 'finds what ConvertTo-Json truncated, and names -Depth' {
            $path = Join-Path $TestDrive truncated.jsonl
            $request = @{ custom_id = 'a'; method = 'POST'; url = '/v1/chat/completions'; body = @{ model = 'm'; messages = @(@{ role = 'user'; content = 'c' }) } }
            $objects = [pscustomobject]@{ custom_id = 'b'; method = 'POST'; url = '/v1/chat/completions'; body = [pscustomobject]@{ model = 'm'; messages = @([pscustomobject]@{ role = 'user'; content = 'c' }) } }
            Set-Content $path ($request, $objects | ForEach-Object { $_ | ConvertTo-Json -Compress -WarningAction Ignore })
            $report = Test-BatchFile $path
            $report.Issues.Code | Should -Be 'truncated_json', 'truncated_json'
            $report.Issues.Param | Should -Be 'body.messages[0]', 'body.messages[0]'
            $report.Issues.Message | Should -BeLike '*ConvertTo-Json -Compress -Depth 20*'
            Set-Content $path ($request, $objects | ForEach-Object { $_ | ConvertTo-Json -Compress -Depth 5 })
            Test-BatchFile $path -Quiet | Should -BeTrue
        }

        It 'reports JSON over several lines once, and names -Compress' {
            $path = Join-Path $TestDrive pretty.jsonl
            @{ custom_id = 'a'; method = 'POST'; url = '/v1/embeddings'; body = @{ model = 'm'; input = 'i' } } | ConvertTo-Json -Depth 5 | Set-Content $path
            $report = Test-BatchFile $path
            $report.Issues.Code | Should -Be 'multi_line_json'
            $report.Issues.Message | Should -BeLike '*-Compress*'
        }

        It 'lists every invalid line, with the codes of the service' {
            $report = Test-BatchFile $invalid
            $report.IsValid | Should -BeFalse
            $report.ErrorCount | Should -Be 2
            $report.Issues | ForEach-Object { "$($_.Line) $($_.Code) $($_.Severity)" } |
                Should -Be '2 invalid_json_line Error', '3 duplicate_custom_id Error'
            $report.Issues[1].CustomId | Should -BeExactly 'x'
        }

        It 'returns one report for each file' {
            Test-BatchFile (Join-Path $TestDrive '*valid.jsonl') | Should -HaveCount 2
            $valid, $invalid | Test-BatchFile | Should -HaveCount 2
        }
    }

    Context 'parameters' {
        It 'returns only a Boolean with -Quiet' {
            Test-BatchFile $valid -Quiet | Should -BeTrue
            Test-BatchFile $invalid -Quiet | Should -BeFalse
            Test-BatchFile $valid -Quiet | Should -BeOfType bool
        }

        It 'checks against -Endpoint' {
            $report = Test-BatchFile $valid -Endpoint /v1/embeddings
            $report.IsValid | Should -BeFalse
            $report.Issues[0].Code | Should -BeExactly 'invalid_url'
        }
    }

    Context 'unreadable files' {
        It 'reports FileNotFound, and returns neither report nor Boolean' {
            Test-BatchFile (Join-Path $TestDrive nowhere.jsonl) -Quiet -ErrorVariable failures -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
            Get-ErrorId $failures[0] | Should -BeExactly 'FileNotFound'
        }
    }

    Context 'progress' {
        It 'is shown for a long check, but not with -ProgressAction Ignore' {
            $large = Join-Path $TestDrive large.jsonl
            $writer = [IO.StreamWriter]::new($large)
            foreach ($i in 1..800000) { $writer.WriteLine("{`"custom_id`":`"r$i`",`"method`":`"POST`",`"url`":`"/v1/chat/completions`",`"body`":{`"model`":`"m`",`"messages`":[]}}") }
            $writer.Dispose()
            function Get-Progress([string] $Command) {
                $shell = [powershell]::Create()
                try {
                    $null = $shell.AddScript("Import-Module '$ModulePath'; $Command").Invoke()
                    $shell.Streams.Progress.Activity
                }
                finally { $shell.Dispose() }
            }
            Get-Progress "Test-BatchFile '$large'" | Should -Contain 'Checking large.jsonl'
            Get-Progress "Test-BatchFile '$large' -ProgressAction Ignore" | Should -BeNullOrEmpty
            Get-Progress "Test-BatchFile '$valid'" | Should -BeNullOrEmpty -Because 'it would only flash'
        }
    }

    Context '-Provider' {
        BeforeAll {
            $script:TwoModels = Join-Path $TestDrive two-models.jsonl
            Set-Content $TwoModels (1..2 | ForEach-Object { @{ custom_id = "r$_"; method = 'POST'; url = '/v1/chat/completions'; body = @{ model = "m$_"; messages = @(@{ role = 'user' }) } } | ConvertTo-Json -Compress -Depth 5 })
        }

        It 'selects the rules: <Provider>' -ForEach @(
            @{ Provider = 'OpenAI'; IsValid = $false }
            @{ Provider = 'inferencenet'; IsValid = $true }
        ) {
            (Test-BatchFile $TwoModels -Provider $Provider).IsValid | Should -Be $IsValid
        }

        It 'is by default that of the session''s service, else any' {
            Test-BatchFile $TwoModels -Quiet | Should -BeTrue
            Connect-BatchService OpenAI -ApiKey k
            try { Test-BatchFile $TwoModels -Quiet | Should -BeFalse }
            finally { Disconnect-BatchService }
        }

        It 'is InvalidValue if there is no profile of that name' {
            Get-ErrorId (Get-Failure { Test-BatchFile $TwoModels -Provider nobody }) | Should -Be 'InvalidValue'
        }
    }
}
