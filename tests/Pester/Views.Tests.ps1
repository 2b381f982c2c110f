BeforeAll {
    . $PSScriptRoot/Common.ps1

    # The lines a window of 80 columns shows.
    function Get-Shown {
        param([Parameter(ValueFromPipeline)] $InputObject)

        begin { $all = [System.Collections.Generic.List[object]]::new() }
        process { $all.Add($InputObject) }
        end { ($all | Out-String -Width 80) -split '\r?\n' | Where-Object { $_ } }
    }

    $null = New-BatchRequest x -Model m # Loads what the types below stand in.
    $now = [DateTimeOffset]::UtcNow
    $running = [InferenceBatch.Model.Batch]@{
        Id = 'batch_abcdefghijklmnopqrstuvwx'; Status = 'InProgress'; CreatedAt = $now.AddMinutes(-12.5)
        RequestCounts = [InferenceBatch.Model.RequestCounts]::new(60, 30, 6)
    }
    $large = [InferenceBatch.Model.Batch]@{
        Id = 'batch_1'; Status = 'Completed'; CreatedAt = $now.AddDays(-3.5); Json = '{"secret":"body"}'
        RequestCounts = [InferenceBatch.Model.RequestCounts]::new(1000000, 999988, 12)
    }
}

Describe 'Views' {
    Context 'Batch' {
        It 'shows a row that fits a window of 80 columns' {
            $shown = $running, $large | Get-Shown
            $shown[0] | Should -Match '^Id +Status +Progress +Ok/Failed/All +Age'
            $shown[2] | Should -Match '^batch_abcdefghijklmnopqrstuvwx +InProgress +███░░  60% +30/6/60 +12m *$'
            $shown[3] | Should -Match '^batch_1 +Completed +█████ 100% +999k/12/1M +3d *$'
            $shown | ForEach-Object { $_.Length | Should -BeLessOrEqual 80 }
        }

        It 'shows no raw JSON as a list' {
            $large | Format-List | Out-String | Should -Not -Match 'secret'
        }

        It 'has the names the next command asks for' {
            $running.BatchId | Should -BeExactly $running.Id
            ([InferenceBatch.Model.BatchFile]@{ Id = 'file-1' }).FileId | Should -BeExactly 'file-1'
            ([InferenceBatch.Model.BatchResult]@{ CustomId = 'c' }).custom_id | Should -BeExactly 'c'
        }
    }

    Context 'BatchResult' {
        It 'shows the text on one line, and an error where there is no text' {
            $results = @(
                [InferenceBatch.Model.BatchResult]@{ CustomId = 'a'; Status = 'Succeeded'; TotalTokens = 42; Text = "one`r`ntwo " + ('long ' * 100000) }
                [InferenceBatch.Model.BatchResult]@{ CustomId = 'b'; Status = 'Failed'; Error = [InferenceBatch.Model.ServiceError]::new('rate_limit', 'Too many') }
                [InferenceBatch.Model.BatchResult]@{ CustomId = 'c'; Status = 'Missing' })
            $shown = $results | Get-Shown
            $shown | Should -HaveCount 5
            $shown[2] | Should -Match '^a +Succeeded +42 one  two long'
            $shown[3] | Should -Match '^b +Failed +rate_limit: Too many'
            $shown[4] | Should -Match '^c +Missing +not in any file'
        }
    }

    Context 'BatchRequest' {
        It 'shows id, endpoint and the beginning of the body' {
            (New-BatchRequest 'hello' -Model m | Get-Shown)[2] | Should -Match '^request-1 +/v1/chat/completions \{"model":"m",'
        }
    }

    Context 'BatchFile' {
        It 'shows size and requests' {
            $file = [InferenceBatch.Model.BatchFile]@{ Id = 'file-abc'; FileName = 'a.jsonl'; Bytes = 199999999; RequestCount = 50000; CreatedAt = $now }
            ($file | Get-Shown)[2] | Should -Match '^file-abc +a\.jsonl +50,000 +190\.7 MB +\ds'
        }
    }

    Context 'BatchFileReport' {
        It 'says at a glance what is wrong, and on which line' {
            $path = Join-Path $TestDrive 'bad.jsonl'
            Set-Content $path (@('nonsense') * 12)
            $shown = Test-BatchFile $path | Get-Shown
            ($shown -join '') | Should -BeLike 'not valid, 12 errors: *bad.jsonl*'
            ($shown -match 'invalid_json_line') | Should -HaveCount 10
            $shown[-1] | Should -BeExactly '  2 more issues: see Issues'
        }
    }

    Context 'colour' {
        It 'is absent where the output goes to a file or another program' {
            $running | Out-String | Should -Not -Match ([char]27)
        }
    }
}
