BeforeAll {
    . $PSScriptRoot/Common.ps1

    # Returns the lines in a window with this number of columns.
    function Get-Shown {
        param([Parameter(ValueFromPipeline)] $InputObject, [int] $Width = 80)

        begin { $all = [System.Collections.Generic.List[object]]::new() }
        process { $all.Add($InputObject) }
        end { ($all | Out-String -Width $Width) -split '\r?\n' | ForEach-Object TrimEnd | Where-Object { $_ } }
    }

    $null = New-BatchRequest x -Model m # Loads the assemblies with the types below.
    $script:other = Get-Culture # An object with its own table. Without one, following objects would be empty rows of its table.
    $script:now = [DateTimeOffset]::UtcNow
    $script:running = [InferenceBatch.Model.Batch]@{
        Id = 'batch_6caaf24d-54a5-46be-b1b7-518884fcbdde'; Status = 'InProgress'; RawStatus = 'in_progress'; Endpoint = '/v1/chat/completions'; CreatedAt = $now.AddHours(-12.5)
        RequestCounts = [InferenceBatch.Model.RequestCounts]::new(60, 30, 6)
    }
    $script:large = [InferenceBatch.Model.Batch]@{
        Id = 'batch_1'; Status = 'Completed'; CreatedAt = $now.AddDays(-3.5); Json = '{"secret":"body"}'
        RequestCounts = [InferenceBatch.Model.RequestCounts]::new(1000000, 999988, 12)
    }
    $script:hostile = "one`e[31mtwo`e]0;title`a$([char]0x9B)5mthree`r`nfour`tfive`0"
    $script:hasHostile = '[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]'

    # One object of each type that a cmdlet returns, with the longest IDs of the providers.
    $script:longFile = 'file-6caaf24d-54a5-46be-b1b7-518884fcbdde'
    $script:each = [ordered]@{
        Batch              = $running
        BatchFile          = [InferenceBatch.Model.BatchFile]@{ Id = $longFile; FileName = 'tickets-001.jsonl'; Bytes = 199999999; RequestCount = 5000000; CreatedAt = $now.AddDays(-3) }
        BatchRequest       = New-BatchRequest 'hello' -Model m
        BatchResult        = [InferenceBatch.Model.BatchResult]@{ CustomId = 'ticket-1'; Status = 'Succeeded'; TotalTokens = 123456; Text = 'word ' * 100000 }
        LineIssue          = [InferenceBatch.Lines.LineIssue]::new(1234, 'c', 'missing_required_parameter', 'The line has no model.', 'Error', $null)
        ServiceError       = [InferenceBatch.Model.ServiceError]::new('missing_required_parameter', 'The line has no model.', $null, 1234)
        BatchFileReport    = & { Set-Content (Join-Path $TestDrive one.jsonl) 'nonsense'; Test-BatchFile (Join-Path $TestDrive one.jsonl) }
        BatchFileMeasure   = & { New-BatchRequest 'hello' -Model m | Export-BatchFile (Join-Path $TestDrive two.jsonl) -Force; Measure-BatchFile (Join-Path $TestDrive two.jsonl) }
        BatchResultMeasure = @() | Measure-BatchResult
        ServiceConnection  = [InferenceBatch.Service.ServiceConnection]::new('https://a-rather-long-resource-name.openai.azure.com/openai/v1', [InferenceBatch.Service.ServiceProfile]::Find('azureopenai'), 'some-key')
        BatchServer        = [InferenceBatch.LocalServer.BatchServer]::new('http://127.0.0.1:58421/v1', 1234567, '/home/somebody/.local/state/InferenceBatch/server', 'http://127.0.0.1:11434/v1', $now.AddHours(-5))
        WebhookEvent       = [InferenceBatch.Webhooks.WebhookEvent]@{ Id = 'evt_1'; Type = 'batch.in_progress'; BatchId = $running.Id; ReceivedAt = $now; IsVerified = $true }
    }
}

Describe 'The view of <Name> in <Width> columns' -ForEach @(
    foreach ($width in 80, 120) {
        @{ Name = 'Batch'; Width = $width; Whole = 'batch_6caaf24d-54a5-46be-b1b7-518884fcbdde', 'InProgress', '██░░  60%', '30/6/60', '12h' }
        @{ Name = 'BatchFile'; Width = $width; Whole = 'file-6caaf24d-54a5-46be-b1b7-518884fcbdde', 'tickets-001.jsonl', '190.7 MB', '3d' }
        @{ Name = 'BatchRequest'; Width = $width; Whole = 'request-1', '/v1/chat/completions', '{"model":"m",' }
        @{ Name = 'BatchResult'; Width = $width; Whole = 'ticket-1', 'Succeeded', '123456', 'word word word' }
        @{ Name = 'LineIssue'; Width = $width; Whole = '1234', 'Error', 'missing_required_parameter', 'The line has no model.' }
        @{ Name = 'ServiceError'; Width = $width; Whole = '1234', 'missing_required_parameter', 'The line has no model.' }
        @{ Name = 'ServiceConnection'; Width = $width; Whole = 'AzureOpenAI', 'set', 'https://a-rather-long-resource-name.openai.azure.com/openai/v1' }
        @{ Name = 'WebhookEvent'; Width = $width; Whole = 'batch.in_progress', 'batch_6caaf24d-54a5-46be-b1b7-518884fcbdde', 'True' }
    }
) {
    It 'is a table with one line for each row, and all important columns' {
        $shown = $each[$Name] | Get-Shown -Width $Width
        $shown | Should -HaveCount 3
        $shown | ForEach-Object { $_.Length | Should -BeLessOrEqual $Width }
        foreach ($text in $Whole) { $shown[2].Contains($text) | Should -BeTrue -Because "'$text' is in: $($shown[2])" }
    }
}

Describe 'Each type' {
    It 'stays short after objects of another type: <_>' -ForEach 'Batch', 'BatchFile', 'BatchRequest', 'BatchResult', 'LineIssue', 'ServiceError', 'BatchFileReport', 'BatchFileMeasure', 'BatchResultMeasure', 'ServiceConnection', 'BatchServer', 'WebhookEvent' {
        $shown = $other, $each[$_] | Get-Shown
        $shown.Count | Should -BeLessOrEqual 15
        $shown -match '^(Json|Profile) ' | Should -BeNullOrEmpty
    }

    It 'has readable property names after objects of another type: <_>' -ForEach 'Batch', 'BatchFile', 'BatchRequest', 'BatchResult', 'LineIssue', 'ServiceError', 'BatchFileReport', 'BatchFileMeasure', 'BatchResultMeasure', 'ServiceConnection', 'BatchServer', 'WebhookEvent' {
        $labels = @($other, $each[$_] | Get-Shown | Select-String '^(\S.*?) +: ' | ForEach-Object { $_.Matches[0].Groups[1].Value })
        $labels.Count | Should -BeGreaterThan 1
        # The name of a property, or readable words.
        $labels | Should -Not -Match '\w(Text|Start)$|^Answer$'
    }

    It 'keeps its hidden properties out of JSON and Select-Object: <_>' -ForEach 'Batch', 'BatchFile', 'BatchResult', 'BatchServer' {
        ($each[$_] | Select-Object *).PSObject.Properties.Name | Should -Not -Match '.Text$| |^(Progress|Age)$'
    }
}

Describe 'Text of a model, a service or a file' {
    BeforeAll {
        $script:hostileError = [InferenceBatch.Model.ServiceError]::new("code`e[1m", $hostile)
        $script:metadata = [System.Collections.Generic.Dictionary[string, string]]::new()
        $metadata["k`e[2J"] = $hostile
        $script:said = @(
            [InferenceBatch.Model.BatchResult]@{ CustomId = "id`e[5m"; Status = 'Succeeded'; Text = $hostile; Request = [InferenceBatch.Model.BatchRequest]@{ CustomId = "i"; Url = "u"; BodyUtf8 = [byte[]]@(); InputObject = [pscustomobject]@{ Body = $hostile } } }
            [InferenceBatch.Model.BatchResult]@{ CustomId = 'b'; Status = 'Failed'; Error = $hostileError }
            [InferenceBatch.Model.Batch]@{ Id = 'b'; RawStatus = "new`e[31m"; Metadata = $metadata; Errors = [InferenceBatch.Model.ServiceError[]]@($hostileError) }
            [InferenceBatch.Model.BatchFile]@{ Id = 'f'; FileName = "name`e[2J.jsonl" }
            [InferenceBatch.Model.BatchRequest]@{ CustomId = "id`e[5m"; Url = '/v1/x'; BodyUtf8 = [Text.Encoding]::UTF8.GetBytes($hostile); InputObject = @{ Body = $hostile } }
            [InferenceBatch.Webhooks.WebhookEvent]@{ Type = "batch`e[31m"; BatchId = "b`e[2J" }
            [InferenceBatch.Lines.LineIssue]::new(1, "c`e[2J", 'code', $hostile, 'Error', $null)
            $hostileError)
    }

    It 'is harmless in a table' {
        foreach ($one in $said) { $one | Format-Table | Out-String -Width 200 | Should -Not -Match $hasHostile }
    }

    It 'is harmless in a list' {
        foreach ($one in $said) { $one | Format-List | Out-String -Width 200 | Should -Not -Match $hasHostile }
        $said[0] | Format-List | Out-String | Should -Match 'three\r?\n +four\s+five'
    }

    It 'is harmless in a wide view, and after objects of another type' {
        foreach ($one in $said) {
            $one | Format-Wide | Out-String -Width 200 | Should -Not -Match $hasHostile
            $other, $one | Out-String -Width 200 | Should -Not -Match $hasHostile
        }
    }

    It 'is harmless and limited in the error of a batch that failed' {
        . $PSScriptRoot/Service.ps1
        $faults = [FaultServer]::new()
        try {
            $faults.On('GET /v1/batches/', @(New-Answer (New-WireBatch 'b1' 'failed' @{ errors = @{ data = @(@{ code = 'bad'; message = $hostile + ('x' * 5000); line = 1 }) } })))
            $problem = Get-ErrorOf { Wait-Batch b1 -BaseUri $faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'BatchFailed'
            "$problem" | Should -Not -Match $hasHostile
            "$problem".Length | Should -BeLessThan 500
        }
        finally {
            $faults.Dispose()
            Stop-TestServices
        }
    }

    It 'is unchanged in the properties' {
        $said[0].Text | Should -BeExactly $hostile
    }
}

Describe 'Views' {
    Context 'Batch' {
        It 'shows a row that fits a window of 80 columns' {
            $shown = $running, $large | Get-Shown
            $shown[0] | Should -Match '^Id +Status +Progress +Ok/Fail/All +Age$'
            $shown[2] | Should -Match '^batch_6caaf24d-54a5-46be-b1b7-518884fcbdde InProgress +██░░  60% +30/6/60 +12h$'
            $shown[3] | Should -Match '^batch_1 +Completed +████ 100% +999k/12/1M +3d$'
        }

        It 'shows the endpoint in a wide window' {
            ($running | Get-Shown -Width 120)[2] | Should -Match '12h /v1/chat/completions$'
        }

        It 'shows counts in 11 characters: <Completed>/<Failed>/<Total>' -ForEach @(
            @{ Completed = 58; Failed = 2; Total = 60; Shown = '58/2/60' }
            @{ Completed = 49950; Failed = 50; Total = 50000; Shown = '49k/50/50k' }
            @{ Completed = 999; Failed = 0; Total = 100000; Shown = '999/0/100k' }
            @{ Completed = 499000; Failed = 500999; Total = 999999; Shown = '.4M/.5M/.9M' }
            @{ Completed = 4500000; Failed = 99000; Total = 4999999; Shown = '4M/99k/4M' }
        ) {
            [InferenceBatch.Views.ViewText]::Counts([InferenceBatch.Model.RequestCounts]::new($Total, $Completed, $Failed)) | Should -BeExactly $Shown
        }

        It 'shows an age in three characters: <Hours> hours' -ForEach @(
            @{ Hours = 0.001; Shown = '^\d+s$' }, @{ Hours = 0.5; Shown = '^(29|30)m$' }, @{ Hours = 23.5; Shown = '^23h$' }, @{ Hours = 24.5; Shown = '^1d$' }
            @{ Hours = 24 * 99.5; Shown = '^99d$' }, @{ Hours = 24 * 141; Shown = '^20w$' }, @{ Hours = 24 * 731; Shown = '^2y$' }
        ) {
            [InferenceBatch.Views.ViewText]::Age([DateTimeOffset]::UtcNow.AddHours(-$Hours)) | Should -Match $Shown
        }

        It 'shows an unknown status as the service''s word' {
            $odd = [InferenceBatch.Model.Batch]@{ Id = 'b'; RawStatus = 'paused' }
            $odd | Get-Shown | Select-Object -Last 1 | Should -Match '^b +paused\?'
            $odd | Format-List | Out-String | Should -Match 'Status +: paused\?'
        }

        It 'shows no raw JSON as a list' {
            $large | Format-List | Out-String | Should -Not -Match 'secret'
        }

        It 'has the property names that the next command needs' {
            $running.BatchId | Should -BeExactly $running.Id
            ([InferenceBatch.Model.BatchFile]@{ Id = 'file-1' }).FileId | Should -BeExactly 'file-1'
            ([InferenceBatch.Model.BatchResult]@{ CustomId = 'c' }).custom_id | Should -BeExactly 'c'
            (New-BatchRequest x -Model m -CustomId c).custom_id | Should -BeExactly 'c'
            $each['LineIssue'].custom_id | Should -BeExactly 'c'
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
            $shown[4] | Should -Match '^c +Missing +not in any result file$'
        }

        It 'marks an answer that is not JSON although JSON was requested' {
            $results = '{"a":1}', '{"a":1', 'no' | ForEach-Object { [InferenceBatch.Model.BatchResult]@{ CustomId = 'r'; Status = 'Succeeded'; Text = $_ } }
            $results[2].Request = New-BatchRequest x -Model m -ResponseSchema @{ type = 'object' }
            $shown = $results | Get-Shown
            $shown[2] | Should -Match '^r +Succeeded +\{"a":1\}$'
            $shown[3] | Should -Match '^r +Succeeded +not JSON: \{"a":1$'
            $shown[4] | Should -Match '^r +Succeeded +not JSON: no$'
        }

        It 'aligns its numbers and their headers to the right' {
            $shown = [InferenceBatch.Model.BatchResult]@{ CustomId = 'a'; Status = 'Succeeded'; TotalTokens = 42; Text = 'x' } | Get-Shown
            $shown[2].IndexOf('42') + 2 | Should -Be ($shown[0].IndexOf('Tokens') + 6)
        }
    }

    Context 'BatchRequest' {
        It 'shows ID, endpoint and the start of the body' {
            (New-BatchRequest 'hello' -Model m | Get-Shown)[2] | Should -Match '^request-1 +/v1/chat/completions \{"model":"m",'
        }
    }

    Context 'BatchFile' {
        It 'shows name and size' {
            $file = [InferenceBatch.Model.BatchFile]@{ Id = 'file-abc'; FileName = 'a.jsonl'; Bytes = 199999999; RequestCount = 50000; CreatedAt = $now }
            ($file | Get-Shown)[2] | Should -Match '^file-abc +a\.jsonl +190\.7 MB +\d+[sm]$'
        }
    }

    Context 'BatchServer' {
        It 'is a list with the whole data folder in 80 columns' {
            $each['BatchServer'] | Get-Shown | Should -Contain 'DataPath  : /home/somebody/.local/state/InferenceBatch/server'
            $each['BatchServer'] | Get-Shown | Should -Contain 'Uri       : http://127.0.0.1:58421/v1'
        }
    }

    Context 'BatchFileReport' {
        It 'has a table that shows in 80 columns how many errors each file has, and its path' {
            $folder = New-Item (Join-Path $TestDrive ('long-' * 16)) -ItemType Directory -Force
            Set-Content $folder/bad.jsonl nonsense, nonsense
            New-BatchRequest x -Model m | Export-BatchFile $folder/good.jsonl | Out-Null
            $shown = Test-BatchFile $folder/*.jsonl | Format-Table | Get-Shown
            $shown[0] | Should -Match '^Valid +Errors +Requests +Size +Path$'
            $shown -match '^False +2 +2 ' | Should -HaveCount 1
            $shown -match '^True +0 +1 ' | Should -HaveCount 1
            ($shown | ForEach-Object Trim) -join '' | Should -Match 'bad\.jsonl.*good\.jsonl$'
        }

        It 'shows the problems with their lines' {
            $path = Join-Path $TestDrive 'bad.jsonl'
            Set-Content $path (@('nonsense') * 12)
            $shown = Test-BatchFile $path | Get-Shown
            ($shown -join '') | Should -BeLike 'not valid, 12 errors: *bad.jsonl*'
            ($shown -match 'invalid_json_line') | Should -HaveCount 10
            $shown[-1] | Should -BeExactly '  2 more issues: see Issues'
        }
    }

    Context 'wide' {
        It 'shows many objects: progress, ID and failures' {
            $running | Format-Wide -Column 1 | Out-String | Should -Match '60% batch_6caaf24d-54a5-46be-b1b7-518884fcbdde'
            [InferenceBatch.Model.BatchResult]@{ CustomId = 'b'; Status = 'Failed' } | Format-Wide | Out-String | Should -Match 'b \(Failed\)'
            $each['BatchFile'] | Format-Wide | Out-String | Should -Match 'tickets-001\.jsonl'
        }
    }

    Context 'tokens' {
        It 'are shown as far as the service reports them' {
            [InferenceBatch.Model.BatchResult]@{ CustomId = 'a'; TotalTokens = 1234 } | Format-List | Out-String | Should -Match 'Tokens +: 1,234\r?\n'
            [InferenceBatch.Model.BatchResult]@{ CustomId = 'a'; PromptTokens = 3; CompletionTokens = 4; TotalTokens = 7 } | Format-List | Out-String | Should -Match 'Tokens +: 3 in, 4 out, 7 in all'
        }
    }

    Context 'in Constrained Language Mode' {
        It 'shows the same' {
            . $PSScriptRoot/Service.ps1
            try {
                $child = Invoke-ChildShell @'
$objects = @(New-BatchRequest hello -Model m; [InferenceBatch.Model.Batch]@{ Id = 'batch_1'; Status = 'Completed'; RequestCounts = [InferenceBatch.Model.RequestCounts]::new(4, 4, 0) })
$full = $objects | ForEach-Object { $_ | Format-Table | Out-String -Width 80 }
$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'
$constrained = $objects | ForEach-Object { $_ | Format-Table | Out-String -Width 80 }
"$full" -ceq "$constrained"
"$constrained"
'@
            }
            finally { Stop-TestServices }
            $child.Error | Should -BeNullOrEmpty
            $child.Output | Should -Match '^True'
            $child.Output | Should -Match '████ 100%'
        }
    }

    Context 'color' {
        It 'is absent in redirected output' {
            $running | Out-String | Should -Not -Match ([char]27)
        }

        It 'is used in a terminal, from $PSStyle, unless it is disabled' -Skip:(-not (Get-Command script -CommandType Application -ErrorAction Ignore) -or -not $IsLinux) {
            Set-Content (Join-Path $TestDrive colour.ps1) @"
Import-Module '$ModulePath'
`$null = New-BatchRequest x -Model m
`$batch = [InferenceBatch.Model.Batch]@{ Id = 'b'; Status = 'Completed' }
'default'; `$batch
'string'; (`$batch | Out-String).Contains([char]27)
`$batch > '$TestDrive/colour.txt'
`$PSStyle.OutputRendering = 'PlainText'
'plain'; `$batch
'end'
"@
            # Runs in its own terminal, from script(1).
            $shell = "env -u NO_COLOR TERM=xterm-256color '$($PowerShell -join "' '")' -NoProfile -NonInteractive -File '$TestDrive/colour.ps1'"
            $seen = @(script -qec $shell /dev/null) -join "`n"
            $parts = $seen -split '(?m)^.*(?:default|string|plain|end)\r?$'
            $parts[1] | Should -Match ([regex]::Escape("$($PSStyle.Foreground.Green)Completed$($PSStyle.Reset)"))
            $parts[2] | Should -Match 'False'
            $parts[3] | Should -Match 'Completed'
            $parts[3] | Should -Not -Match '\x1B\[32m'
            Get-Content (Join-Path $TestDrive colour.txt) -Raw | Should -Not -Match '\x1B'
        }
    }
}
