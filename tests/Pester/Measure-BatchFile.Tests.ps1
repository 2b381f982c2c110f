BeforeAll {
    . $PSScriptRoot/Common.ps1
    $script:OldConfig = $env:XDG_CONFIG_HOME
    $env:XDG_CONFIG_HOME = Join-Path $TestDrive config
    $path = Join-Path $TestDrive 'in.jsonl'
    $null = 'one', 'two', 'three' | New-BatchRequest -Model m/x -MaxTokens 100 | Export-BatchFile $path
    $unlimited = Join-Path $TestDrive 'unlimited.jsonl'
    $null = 'one', 'two' | New-BatchRequest -Model m/y | Export-BatchFile $unlimited
}

AfterAll { $env:XDG_CONFIG_HOME = $OldConfig }

Describe 'Measure-BatchFile' {
    It 'measures the content and the cost of a file' {
        $measure = Measure-BatchFile $path -InputPrice 1 -OutputPrice 10000
        $measure | Should -BeOfType InferenceBatch.Lines.BatchFileMeasure
        $measure.Path | Should -BeExactly $path
        $measure.RequestCount | Should -Be 3
        $measure.Bytes | Should -Be (Get-Item $path).Length
        $measure.Models | Should -Be 'm/x'
        $measure.OutputTokensLow | Should -Be 3
        $measure.OutputTokensHigh | Should -Be 300
        $measure.InputTokensLow | Should -BeLessThan $measure.InputTokensHigh
        $measure.CostHigh | Should -Be (3 + $measure.InputTokensHigh / 1000000)
    }

    It 'returns one measure for each file, from wildcards and from the pipeline' {
        Measure-BatchFile (Join-Path $TestDrive '*.jsonl') | Should -HaveCount 2
        (Get-ChildItem $TestDrive -Filter *.jsonl | Measure-BatchFile).RequestCount | Should -Be 3, 2
    }

    It 'has no high value if a request has no limit, unless -MaxTokens sets one' {
        (Measure-BatchFile $unlimited).OutputTokensHigh | Should -BeNullOrEmpty
        (Measure-BatchFile $unlimited).RequestsWithoutLimit | Should -Be 2
        (Measure-BatchFile $unlimited -MaxTokens 50).OutputTokensHigh | Should -Be 100
    }

    Context 'prices' {
        It 'has no cost without a price, and names the model' {
            $measure = Measure-BatchFile $path
            $measure.CostLow | Should -BeNullOrEmpty
            $measure.UnpricedModels | Should -Be 'm/x'
        }

        It 'reads the user''s price table, with wildcards, and prefers -PricePath' {
            $folder = New-Item (Join-Path $env:XDG_CONFIG_HOME InferenceBatch) -ItemType Directory
            Set-Content (Join-Path $folder prices.json) '{ "m/*": { "input": 0, "output": 10000 } }'
            (Measure-BatchFile $path).CostHigh | Should -Be 3
            Set-Content (Join-Path $TestDrive other.json) '{ "m/x": { "input": 0, "output": 20000 } }'
            (Measure-BatchFile $path -PricePath (Join-Path $TestDrive other.json)).CostHigh | Should -Be 6
            (Measure-BatchFile $path -OutputPrice 30000).CostHigh | Should -Be 9
        } -Skip:(-not $IsLinux)

        It 'reports InvalidPriceTable with an example, for a file that is not a price table' {
            $bad = Join-Path $TestDrive bad.json
            Set-Content $bad '{ "m": 1 }'
            $failure = Get-Failure { Measure-BatchFile $path -PricePath $bad }
            Get-ErrorId $failure | Should -BeExactly 'InvalidPriceTable'
            "$failure" | Should -BeLike "*$bad*""output""*"
            $failure.TargetObject | Should -BeExactly $bad
        }

        It 'reports FileNotFound for a table that does not exist' {
            Get-ErrorId (Get-Failure { Measure-BatchFile $path -PricePath (Join-Path $TestDrive nowhere.json) }) | Should -BeExactly 'FileNotFound'
        }

        It 'rejects a price below 0' {
            { Measure-BatchFile $path -InputPrice -1 } | Should -Throw -ErrorId 'ParameterArgumentValidationError,*'
        }
    }

    Context 'invalid files' {
        It 'warns about lines that are not requests' {
            $odd = Join-Path $TestDrive 'odd.txt'
            Set-Content $odd @((Get-Content $path) + 'nonsense')
            $measure = Measure-BatchFile $odd -WarningVariable warnings -WarningAction SilentlyContinue
            $measure.RequestCount | Should -Be 3
            $measure.UnreadableLines | Should -Be 1
            $warnings | Should -BeLike '*: 1 line is not a valid request and was not counted. Test-BatchFile*'
        }

        It 'reports that requests are not paths, and how to write them to a file' {
            $request = New-BatchRequest 'hello' -Model m
            $request | Measure-BatchFile -ErrorVariable failures -ErrorAction SilentlyContinue
            "$($failures[0])" | Should -BeLike '*A BatchRequest is not a path. Write it to a file first: *Export-BatchFile*'
            $request | Export-BatchFile (Join-Path $TestDrive asked.jsonl) | Measure-BatchFile | Select-Object -ExpandProperty RequestCount | Should -Be 1
        }

        It 'explains how to convert UTF-16, and continues' {
            $utf16 = Join-Path $TestDrive 'utf16.txt'
            Set-Content $utf16 (Get-Content $path) -Encoding unicode
            $measure = Measure-BatchFile $utf16, $path -ErrorVariable failures -ErrorAction SilentlyContinue
            Get-ErrorId $failures[0] | Should -BeExactly 'InvalidBatchFile'
            "$($failures[0])" | Should -BeLike "*utf16.txt: *"
            $measure.Path | Should -BeExactly $path
        }
    }

    It 'fits a window of 80 columns' {
        $shown = (Measure-BatchFile $unlimited | Out-String -Width 80) -split '\r?\n'
        $shown -match '^OutputTokens +: 2 or more' | Should -HaveCount 1
        $shown -match '^Cost +: not known' | Should -HaveCount 1
        $shown | ForEach-Object { $_.Length | Should -BeLessOrEqual 80 }
    }
}
