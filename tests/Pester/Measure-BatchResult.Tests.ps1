BeforeAll {
    . $PSScriptRoot/Common.ps1
    $script:OldConfig = $env:XDG_CONFIG_HOME
    $env:XDG_CONFIG_HOME = Join-Path $TestDrive config
    $path = Join-Path $TestDrive 'results.jsonl'
    function New-Line([string] $Id, [string] $Text = 'x') {
        "{`"custom_id`":`"$Id`",`"response`":{`"status_code`":200,`"body`":{`"model`":`"m`",`"choices`":[{`"message`":{`"content`":$($Text | ConvertTo-Json)},`"finish_reason`":`"length`"}],`"usage`":{`"prompt_tokens`":3,`"completion_tokens`":4,`"total_tokens`":7}}},`"error`":null}"
    }
    Set-Content $path @(
        New-Line a
        New-Line b '{"half":'
        '{"custom_id":"c","response":{"status_code":429,"body":{"error":{"code":"rate_limit","message":"slow down"}}}}'
        '{"custom_id":"d","response":null,"error":{"code":"batch_expired","message":"too late"}}')
}

AfterAll { $env:XDG_CONFIG_HOME = $OldConfig }

Describe 'Measure-BatchResult' {
    It 'adds up results from the pipeline' {
        $sum = Get-BatchResult -Path $path | Measure-BatchResult -InputPrice 1000000 -OutputPrice 2000000
        $sum | Should -BeOfType InferenceBatch.Results.BatchResultMeasure
        $sum.Count, $sum.Succeeded, $sum.Failed, $sum.Expired, $sum.Cancelled, $sum.Missing, $sum.ValueErrors | Should -Be 4, 2, 1, 1, 0, 0, 1
        $sum.InputTokens, $sum.OutputTokens, $sum.TotalTokens, $sum.Cost | Should -Be 6, 8, 14, 22
        $sum.Failures[0].Code, $sum.Failures[0].Count, $sum.Failures[0].Message | Should -Be 'rate_limit', 1, 'slow down'
        $sum.Models | Should -Be 'm'
    }

    It 'counts missing results' {
        $requests = 'x', 'y' | New-BatchRequest -Model m
        $sum = Get-BatchResult -Path $path -Request $requests -WarningAction SilentlyContinue | Measure-BatchResult
        $sum.Missing | Should -Be 2
    }

    It 'shows the status with its phrase if the service gives no code: <Reason>' -ForEach @(
        @{ Body = '{"detail":"Not Found"}'; Status = 404; Reason = '404 Not Found' }
        @{ Body = '{"error":"no"}'; Status = 500; Reason = '500 Internal Server Error' }
        @{ Body = '{"error":{"message":"no","type":"upstream_error","code":null}}'; Status = 502; Reason = '502 Bad Gateway' }
        @{ Body = '"no"'; Status = 503; Reason = '503 Service Unavailable' }
        @{ Body = '{"detail":[{"loc":["body","messages"],"msg":"field required","type":"missing"}]}'; Status = 422; Reason = 'missing (HTTP 422)' }
    ) {
        $failed = Join-Path $TestDrive failed.jsonl
        Set-Content $failed (1..3 | ForEach-Object { "{`"custom_id`":`"f$_`",`"response`":{`"status_code`":$Status,`"body`":$Body}}" })
        $sum = Get-BatchResult -Path $failed | Measure-BatchResult
        "$($sum.Failures)" | Should -BeExactly "3 $Reason"
        $sum | Out-String | Should -Match ([regex]::Escape("3 $Reason"))
    }

    It 'accepts an array, and no results' {
        $results = @(Get-BatchResult -Path $path)
        (Measure-BatchResult $results).Count | Should -Be 4
        (@() | Measure-BatchResult).Count | Should -Be 0
    }

    It 'has no cost without prices' {
        (Get-BatchResult -Path $path | Measure-BatchResult).Cost | Should -BeNullOrEmpty
    }

    It 'fits a window of 80 columns' {
        $shown = (Get-BatchResult -Path $path | Measure-BatchResult | Out-String -Width 80) -split '\r?\n'
        $shown -match '^Failures +: 1 rate_limit' | Should -HaveCount 1
        $shown -match '^TotalTokens +: 14' | Should -HaveCount 1
        $shown | ForEach-Object { $_.Length | Should -BeLessOrEqual 80 }
    }

    It 'keeps no results' -Tag Long {
        $line = Get-Content $path -TotalCount 1
        $large = Join-Path $TestDrive large.jsonl
        [IO.File]::WriteAllLines($large, [Linq.Enumerable]::Repeat([string]$line, 300000))
        [GC]::Collect()
        $before = [GC]::GetTotalMemory($true)
        (Get-BatchResult -Path $large | Measure-BatchResult).Count | Should -Be 300000
        ([GC]::GetTotalMemory($true) - $before) / 1MB | Should -BeLessThan 20
    }
}

Describe 'A result''s ValueError' {
    It 'marks JSON that was cut off' {
        $request = [InferenceBatch.Model.BatchRequest[]]@('a', 'b' | ForEach-Object { New-BatchRequest $_ -Model m -CustomId $_ -ResponseSchema @{ type = 'object' } })
        $results = Get-BatchResult -Path $path -Request $request -Ordered -WarningAction SilentlyContinue | Where-Object CustomId -In a, b
        $results.Status | Should -Be 'Succeeded', 'Succeeded'
        $results[0].Value | Should -BeNullOrEmpty
        $results.ValueError | Should -Be 'the answer was cut off by the token limit', 'the answer was cut off by the token limit'
        ($results[0] | Format-List | Out-String) | Should -Match 'ValueError +: the answer was cut off'
    }
}
