# Runs each script of examples/ as a scheduler does: in a new PowerShell, without terminal and profile, and checks the exit codes.

BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    $script:Notices = [FaultServer]::new()
    $Notices.On('POST /hook', @(New-Answer 'ok'))
    $script:Hook = "$($Notices.BaseUri)" -replace '/v1$', '/hook'
    $script:Night = '2026-01-15'

    function Start-Example([string] $Name, [hashtable] $With = @{}, [hashtable] $Environment = @{}) {
        $arguments = $With.GetEnumerator() | ForEach-Object { "-$($_.Key)"; "$($_.Value)" }
        Start-Shell (@('-File', "$Root/examples/$Name.ps1", '-Module', $ModulePath) + $arguments) $Environment
    }
    function Invoke-Example([string] $Name, [hashtable] $With = @{}, [hashtable] $Environment = @{}) {
        Receive-Shell (Start-Example $Name $With $Environment)
    }
    function New-WorkPath { Join-Path $TestDrive "work [1] $([guid]::NewGuid().ToString('N').Substring(0, 6))" }
    # Writes a CSV with a row for each name, whose Body is "text of <name>".
    function New-RowFile([string[]] $Id) {
        $path = Join-Path $TestDrive "rows-$([guid]::NewGuid().ToString('N').Substring(0, 6)).csv"
        $Id | ForEach-Object { [pscustomobject]@{ Id = $_; Subject = "subject of $_"; Body = "text of $_" } } | Export-Csv -LiteralPath $path
        $path
    }
    # Scripts the fault server so that the next upload becomes a batch in this state, with these lines.
    function Set-Batch([string] $Status, [string[]] $Lines, [int] $Total = $Lines.Count) {
        $Faults.Reset()
        $Notices.Reset()
        $Notices.On('POST /hook', @(New-Answer 'ok'))
        $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-b1' }))
        $Faults.On('GET /v1/batches?', @(New-Answer @{ data = @(); has_more = $false }))
        $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
        $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
        $batch = New-WireBatch 'b1' $Status @{
            created_at = $now - 600; in_progress_at = $now - 600; expires_at = $now + 86400
            output_file_id = $Lines ? 'out-b1' : $null; request_counts = @{ total = $Total; completed = $Lines.Count; failed = 0 }
        }
        $Faults.On('GET /v1/batches/b1', @(New-Answer $batch))
        $Faults.On('GET /v1/files/out-b1/content', @(New-Answer (($Lines -join "`n") + "`n")))
    }
    function New-Failure([string] $CustomId) { New-WireLine $CustomId -With @{ response = @{ status_code = 400; body = @{ error = @{ code = 'bad_prompt'; message = 'no' } } } } }
    function Get-Create([FaultServer] $Service = $Faults) { @($Service.Calls | Where-Object { $_.Method -eq 'POST' -and $_.Path -eq '/v1/batches' }) }
    function Get-BatchCount { @(Get-Batch).Count }
    function Get-Notice { @($Notices.Calls | ForEach-Object { ($_.Text | ConvertFrom-Json).text }) }
}

AfterAll {
    $Faults.Dispose()
    $Notices.Dispose()
    Stop-TestServices
}

Describe 'Every example' {
    BeforeDiscovery { $scripts = Get-ChildItem $PSScriptRoot/../../examples/*.ps1 | ForEach-Object { @{ Name = $_.BaseName; Path = $_.FullName } } }

    It 'has help: <Name>' -ForEach $scripts {
        $help = Get-Help $Path -Full
        $help.Synopsis | Should -Not -BeNullOrEmpty
        $help.examples.example.Count | Should -BeGreaterOrEqual 1
        $ast = [Management.Automation.Language.Parser]::ParseFile($Path, [ref]$null, [ref]$null)
        foreach ($parameter in $ast.ParamBlock.Parameters.Name.VariablePath.UserPath) {
            @($help.parameters.parameter | Where-Object name -EQ $parameter).description.Text | Should -Not -BeNullOrEmpty -Because "-$parameter is described"
        }
    }

    It 'is in the list, and stops at the first error: <Name>' -ForEach $scripts {
        Get-Content -LiteralPath (Join-Path (Split-Path $Path) README.md) -Raw | Should -Match "\[$Name\.ps1\]"
        Get-Content -LiteralPath $Path -Raw | Should -Match "(?m)^\`$ErrorActionPreference = 'Stop'"
    }
}

Describe 'Nightly' {
    Context 'a run without failures' {
        BeforeAll {
            $script:Work = New-WorkPath
            $script:With = @{ WorkPath = $Work; Date = $Night; BaseUri = $Server.Uri; NotifyUri = $Hook }
            $script:Before = Get-BatchCount
            $Notices.Reset()
            $script:Run = Invoke-Example Nightly $With
        }

        It 'writes an answer for every row, in order, with the columns of the row: exit code 0' {
            $Run.ExitCode | Should -Be 0 -Because "$($Run.Output) $($Run.Error)"
            $rows = @(Import-Csv -LiteralPath $Root/examples/tickets.csv)
            $answers = @(Import-Csv -LiteralPath (Join-Path $Work $Night answers.csv))
            $answers.Id -join ' ' | Should -BeExactly ($rows.Id -join ' ')
            $answers.Customer -join ' ' | Should -BeExactly ($rows.Customer -join ' ')
            ($answers.Answer -join '|') | Should -BeExactly ($rows.Body -join '|')
            $answers.AnswerStatus | Sort-Object -Unique | Should -Be 'Succeeded'
        }

        It 'writes a log with times and the summary of the run' {
            $log = Get-Content -LiteralPath (Join-Path $Work $Night nightly.log)
            $log | ForEach-Object { $_ | Should -Match '^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ ' }
            $log -join "`n" | Should -Match '66 rows: 66 succeeded, 0 failed'
            $log[-1] | Should -Match 'exit code 0'
            ($Run.Output -split '\r?\n' | Where-Object { $_ }) | Should -Be $log
        }

        It 'sends no notification' { $Notices.Calls | Should -BeNullOrEmpty }

        It 'writes the same answers when it is started again, and sends nothing' {
            $answers = Get-Content -LiteralPath (Join-Path $Work $Night answers.csv) -Raw
            (Invoke-Example Nightly $With).ExitCode | Should -Be 0
            Get-Content -LiteralPath (Join-Path $Work $Night answers.csv) -Raw | Should -BeExactly $answers
            (Get-BatchCount) - $Before | Should -Be 1
        }
    }

    It 'resumes after it was killed: every row once, one batch' {
        $slow = Start-TestService 'echo?latency=50ms' @{ CONCURRENCY = '2' }
        $work = New-WorkPath
        $with = @{ WorkPath = $work; Date = $Night; BaseUri = $slow.Uri }
        $shell = Start-Example Nightly $with
        Connect-BatchService -BaseUri $slow.Uri
        try {
            Wait-Until { @(Get-Batch).RequestCounts.Completed -gt 0 } 60 | Should -BeTrue
            $shell.Kill($true)
            $shell.WaitForExit()
            Test-Path -LiteralPath (Join-Path $work $Night answers.csv) | Should -BeFalse
            $run = Invoke-Example Nightly $with
            $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
            @(Import-Csv -LiteralPath (Join-Path $work $Night answers.csv)).Answer -join '|' | Should -BeExactly ((Import-Csv -LiteralPath $Root/examples/tickets.csv).Body -join '|')
            @(Get-Batch).RequestCounts.Total | Should -Be 66
        }
        finally {
            $slow | Stop-BatchServer
            Connect-BatchService -BaseUri $Server.Uri
        }
    }

    It 'ends with 1 if a row failed, names it, and sends a notification' {
        Set-Batch completed (New-WireLine 'a' 'one'), (New-Failure 'b')
        $work = New-WorkPath
        $run = Invoke-Example Nightly @{ Path = New-RowFile a, b; WorkPath = $work; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm'; NotifyUri = $Hook }
        $run.ExitCode | Should -Be 1 -Because "$($run.Output) $($run.Error)"
        $answers = Import-Csv -LiteralPath (Join-Path $work $Night answers.csv)
        $answers.AnswerStatus | Should -Be 'Succeeded', 'Failed'
        $answers[1].AnswerError | Should -Be 'bad_prompt: no'
        $run.Output | Should -Match '1 with bad_prompt: no'
        Get-Notice | Should -Match "^Nightly batch $Night on .+: some rows failed\. 1 of 2 rows succeeded"
    }

    It 'ends with 1 if a row could not be sent, and answers the others' {
        Set-Batch completed (New-WireLine 'a' 'one')
        $run = Invoke-Example Nightly @{ Path = New-RowFile a, a; WorkPath = New-WorkPath; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm' }
        $run.ExitCode | Should -Be 1 -Because "$($run.Output) $($run.Error)"
        $run.Output | Should -Match "Problem: .*'a'"
    }

    It 'ends with 2 if it cannot continue, gives the reason without the key, and resumes at the next start' {
        Set-Batch completed (New-WireLine 'a' 'one')
        $Faults.On('POST /v1/files', @(New-Refusal 401))
        $with = @{ Path = New-RowFile a; WorkPath = New-WorkPath; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm'; NotifyUri = $Hook }
        $run = Invoke-Example Nightly $with @{ INFERENCE_API_KEY = 'sk-secret-4711-night' }
        $run.ExitCode | Should -Be 2
        $run.Output | Should -Match 'Could not finish: .*401.*Check the key'
        Get-Notice | Should -Match 'could not finish: .*401'
        $Faults.Calls[0].Headers['Authorization'] | Should -Be 'Bearer sk-secret-4711-night'
        "$($run.Output) $($run.Error) $(Get-Notice) $(Get-ChildItem -LiteralPath $with.WorkPath -Recurse -File | Get-Content -Raw)" | Should -Not -Match 'sk-secret-4711'

        $Faults.On('POST /v1/files', @(New-Answer @{ id = 'in-b1' }))
        (Invoke-Example Nightly $with @{ INFERENCE_API_KEY = 'sk-secret-4711-night' }).ExitCode | Should -Be 0
        (Get-Create).Count | Should -Be 1
    }

    It 'ends with 2 when the wait times out, and resumes it at the next start' {
        Set-Batch in_progress @() 1
        $with = @{ Path = New-RowFile a; WorkPath = New-WorkPath; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm'; TimeoutHours = 0.0002 }
        $run = Invoke-Example Nightly $with
        $run.ExitCode | Should -Be 2 -Because "$($run.Output) $($run.Error)"
        $run.Output | Should -Match '1 of 1 rows have no answer yet'
        $creates = (Get-Create).Count
        Set-Batch completed (New-WireLine 'a' 'one')
        (Invoke-Example Nightly $with).ExitCode | Should -Be 0
        $creates + (Get-Create).Count | Should -Be 1
    }

    It 'ends with 2 while another process runs it' {
        $work = New-WorkPath
        $held = [InferenceBatch.Runs.RunStore]::Open((Join-Path $work $Night checkpoint))
        try {
            $run = Invoke-Example Nightly @{ WorkPath = $work; Date = $Night; BaseUri = $Server.Uri }
            $run.ExitCode | Should -Be 2
            $run.Output | Should -Match 'Could not finish: .*checkpoint'
        }
        finally { $held.Dispose() }
    }

    It 'ends with 2 without its rows, also if the notification fails' {
        $run = Invoke-Example Nightly @{ Path = Join-Path $TestDrive none.csv; WorkPath = New-WorkPath; Date = $Night; BaseUri = $Server.Uri; NotifyUri = "http://127.0.0.1:$(Get-FreePort)/" }
        $run.ExitCode | Should -Be 2
        $run.Output | Should -Match 'none\.csv'
        $run.Output | Should -Match 'The notice could not be sent'
    }

    It 'runs from a clone: starts and stops its own local service' {
        $state = @{ XDG_STATE_HOME = Join-Path $TestDrive alone; INFERENCE_BASE_URL = $null }
        $run = Invoke-Example Nightly @{ WorkPath = New-WorkPath } $state
        $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
        (Invoke-ChildShell '@(Get-BatchServer).Count' $state).Output.Trim() | Should -Be 0
    }
}

Describe 'Submit-Evening and Receive-Morning' {
    It 'send in the evening, collect in the morning with the columns of the rows, and pay once if run twice' {
        $work = New-WorkPath
        $evening = @{ WorkPath = $work; Date = $Night; BaseUri = $Server.Uri; MaxRequest = 40 }
        $before = Get-BatchCount
        $run = Invoke-Example Submit-Evening $evening
        $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
        $sent = Get-Content -LiteralPath (Join-Path $work $Night sent.json) -Raw
        ($sent | ConvertFrom-Json).Parts.BatchId.Count | Should -Be 2
        (Get-BatchCount) - $before | Should -Be 2

        (Invoke-Example Submit-Evening $evening).ExitCode | Should -Be 0
        (Get-BatchCount) - $before | Should -Be 2
        Get-Content -LiteralPath (Join-Path $work $Night sent.json) -Raw | Should -BeExactly $sent

        $null = Wait-Batch -Id ($sent | ConvertFrom-Json).Parts.BatchId
        $run = Invoke-Example Receive-Morning @{ WorkPath = $work; Date = $Night }
        $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
        $rows = Import-Csv -LiteralPath $Root/examples/tickets.csv
        $answers = Import-Csv -LiteralPath (Join-Path $work $Night answers.csv)
        $answers.Id -join ' ' | Should -BeExactly ($rows.Id -join ' ')
        $answers.Answer -join '|' | Should -BeExactly ($rows.Body -join '|')
        $answers.Customer -join '|' | Should -BeExactly ($rows.Customer -join '|')
    }

    It 'create no second batch if the first was created but not recorded' {
        Set-Batch completed (New-WireLine 'a' 'one')
        $work = New-WorkPath
        $evening = @{ Path = New-RowFile a; WorkPath = $work; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm' }
        (Invoke-Example Submit-Evening $evening).ExitCode | Should -Be 0
        $path = Join-Path $work $Night sent.json
        $state = Get-Content -LiteralPath $path -Raw | ConvertFrom-Json
        $state.Parts[0].BatchId = $null
        ConvertTo-Json $state -Depth 4 | Set-Content -LiteralPath $path
        $Faults.On('GET /v1/batches?', @(New-Answer @{ data = @(New-WireBatch 'b1' 'in_progress' @{ input_file_id = 'in-b1'; created_at = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds() }); has_more = $false }))
        (Invoke-Example Receive-Morning @{ WorkPath = $work; Date = $Night }).ExitCode | Should -Be 2
        $run = Invoke-Example Submit-Evening $evening
        $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
        (Get-Content -LiteralPath $path -Raw | ConvertFrom-Json).Parts[0].BatchId | Should -Be 'b1'
        (Get-Create).Count | Should -Be 1
        @($Faults.Calls | Where-Object { "$_" -eq 'POST /v1/files' }).Count | Should -Be 1
    }

    It 'resume in the evening after a refusal: exit code 2, then 0' {
        Set-Batch completed (New-WireLine 'a' 'one')
        $Faults.On('POST /v1/batches', @((New-Refusal 400), (New-Answer (New-WireBatch 'b1' 'validating'))))
        $evening = @{ Path = New-RowFile a; WorkPath = New-WorkPath; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm' }
        $run = Invoke-Example Submit-Evening $evening
        $run.ExitCode | Should -Be 2 -Because "$($run.Output) $($run.Error)"
        $run.Output | Should -Match 'Could not finish: .*refused with 400'
        (Invoke-Example Submit-Evening $evening).ExitCode | Should -Be 0
        @($Faults.Calls | Where-Object { "$_" -eq 'POST /v1/files' }).Count | Should -Be 1
    }

    It 'send nothing in the evening with an invalid row, while another process runs, or to another address' {
        Set-Batch completed (New-WireLine 'a' 'one')
        $work = New-WorkPath
        $evening = @{ Path = New-RowFile a, a; WorkPath = $work; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm' }
        $run = Invoke-Example Submit-Evening $evening
        $run.ExitCode | Should -Be 2
        $run.Output | Should -Match "'a'"
        $evening.Path = New-RowFile a
        $lock = [IO.File]::Open((Join-Path $work $Night lock), 'OpenOrCreate', 'ReadWrite', 'None')
        try { (Invoke-Example Submit-Evening $evening).ExitCode | Should -Be 2 }
        finally { $lock.Dispose() }
        $Faults.Calls | Should -BeNullOrEmpty
        (Invoke-Example Submit-Evening $evening).ExitCode | Should -Be 0
        $evening.BaseUri = $Server.Uri
        $run = Invoke-Example Submit-Evening $evening
        $run.ExitCode | Should -Be 2
        $run.Output | Should -Match 'was started at'
    }

    It 'write the answers so far in the morning and say when to run again: exit code 3' {
        Set-Batch in_progress (New-WireLine 'a' 'one') 2
        $work = New-WorkPath
        (Invoke-Example Submit-Evening @{ Path = New-RowFile a, b; WorkPath = $work; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm' }).ExitCode | Should -Be 0
        $run = Invoke-Example Receive-Morning @{ WorkPath = $work; Date = $Night }
        $run.ExitCode | Should -Be 3 -Because "$($run.Output) $($run.Error)"
        $run.Output | Should -Match '1 of 1 batches have not ended; 1 of 2 rows are answered .* Run this script again at (\d{4}-\d\d-\d\d \d\d:\d\d)\.'
        # One of two rows is answered after ten minutes, so the other is expected in ten more.
        $null = $run.Output -match 'Run this script again at (?<Time>[\d :-]+)\.'
        ([datetime]$Matches.Time - [datetime]::Now).TotalMinutes | Should -BeGreaterThan 5
        ([datetime]$Matches.Time - [datetime]::Now).TotalMinutes | Should -BeLessThan 20
        (Import-Csv -LiteralPath (Join-Path $work $Night partial.csv)).Answer | Should -Be 'one'
        Test-Path -LiteralPath (Join-Path $work $Night answers.csv) | Should -BeFalse

        Set-Batch completed (New-WireLine 'b' 'two'), (New-Failure 'a')
        $run = Invoke-Example Receive-Morning @{ WorkPath = $work; Date = $Night }
        $run.ExitCode | Should -Be 1 -Because "$($run.Output) $($run.Error)"
        $answers = Import-Csv -LiteralPath (Join-Path $work $Night answers.csv)
        $answers.Id | Should -Be 'a', 'b'
        $answers.AnswerStatus | Should -Be 'Failed', 'Succeeded'
    }

    It 'write no answers in the morning if they cannot be read completely: exit code 2' {
        Set-Batch completed (New-WireLine 'a' 'one')
        $work = New-WorkPath
        (Invoke-Example Submit-Evening @{ Path = New-RowFile a; WorkPath = $work; Date = $Night; BaseUri = $Faults.BaseUri; Model = 'm' }).ExitCode | Should -Be 0
        $Faults.On('GET /v1/files/out-b1/content', @(New-Refusal 403))
        (Invoke-Example Receive-Morning @{ WorkPath = $work; Date = $Night }).ExitCode | Should -Be 2
        Test-Path -LiteralPath (Join-Path $work $Night answers.csv) | Should -BeFalse
    }

    It 'report in the morning that nothing was sent: exit code 2' {
        $run = Invoke-Example Receive-Morning @{ WorkPath = New-WorkPath; Date = $Night }
        $run.ExitCode | Should -Be 2
        $run.Output | Should -Match "Nothing was sent in the evening of $Night"
    }
}

Describe 'Classify' {
    It 'gives each row its category, and ignores an unknown category: exit code <Code>' -ForEach @(
        @{ Case = 'good'; Code = 0; Second = '{"category":"return","urgent":false}' }
        @{ Case = 'trouble'; Code = 1; Second = '{"category":"gibberish","urgent":false}' }
    ) {
        Set-Batch completed (New-WireLine 'a' '{"category":"delivery","urgent":true}'), (New-WireLine 'b' $Second)
        $out = Join-Path $TestDrive "$Case.csv"
        $run = Invoke-Example Classify @{ Path = New-RowFile a, b; Destination = $out; BaseUri = $Faults.BaseUri; Model = 'm' }
        $run.ExitCode | Should -Be $Code -Because "$($run.Output) $($run.Error)"
        $rows = Import-Csv -LiteralPath $out
        $rows.Category | Should -Be 'delivery', ($Code ? '' : 'return')
        $rows[0].Urgent | Should -Be 'True'
        $rows[1].Problem | Should -Be ($Code ? 'no such category: gibberish' : '')
        $upload = ($Faults.Calls | Where-Object { "$_" -eq 'POST /v1/files' }).Text
        $upload | Should -Match '"json_schema"'
        $upload | Should -Match '"strict":true'
        $upload | Should -Match 'subject of a\\n\\ntext of a'
    }

    It 'explains why an answer is not JSON' {
        $out = Join-Path $TestDrive echoed.csv
        $run = Invoke-Example Classify @{ Path = New-RowFile a, b; Destination = $out; BaseUri = $Server.Uri }
        $run.ExitCode | Should -Be 1 -Because "$($run.Output) $($run.Error)"
        $rows = Import-Csv -LiteralPath $out
        $rows.Problem | Should -Match 'JSON'
        $rows.Category | Should -Be '', ''
    }
}

Describe 'Embed' {
    It 'writes a vector for each row, with the numbers of the service' {
        $out = Join-Path $TestDrive vectors.jsonl
        $run = Invoke-Example Embed @{ Destination = $out; BaseUri = $Server.Uri }
        $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
        $lines = Get-Content -LiteralPath $out
        $vectors = @{}
        $lines | ConvertFrom-Json | ForEach-Object { $vectors[$_.id] = $_.embedding }
        $tickets = Import-Csv -LiteralPath $Root/examples/tickets.csv
        $lines.Count | Should -Be $tickets.Count
        $vectors.Keys | Sort-Object | Should -Be ($tickets.Id | Sort-Object)
        $one = $tickets[0].Subject | Invoke-Batch -Model echo -Endpoint /v1/embeddings
        $vectors[$tickets[0].Id] | Should -Be ($one.Json | ConvertFrom-Json).response.body.data[0].embedding
    }

    It 'names the rows that failed, and omits them: exit code 1' {
        $line = New-WireLine 'a' -With @{ response = @{ status_code = 200; body = @{ data = @(@{ embedding = @(0.5, 0.25) }) } } }
        Set-Batch completed $line, (New-Failure 'b"'), (New-WireLine 'c')
        $out = Join-Path $TestDrive some.jsonl
        $run = Invoke-Example Embed @{ Path = New-RowFile a, 'b"', c; Destination = $out; BaseUri = $Faults.BaseUri; Model = 'm'; Dimension = 2 }
        $run.ExitCode | Should -Be 1 -Because "$($run.Output) $($run.Error)"
        Get-Content -LiteralPath $out | Should -Be '{"id": "a", "embedding": [0.5,0.25]}'
        $run.Output | Should -Match 'b": Failed bad_prompt: no'
        $run.Output | Should -Match 'c: Succeeded without a vector'
        ($Faults.Calls | Where-Object { "$_" -eq 'POST /v1/files' }).Text | Should -Match '"dimensions":2'
    }
}

Describe 'LocalModel' {
    BeforeEach {
        $script:State = @{ XDG_STATE_HOME = Join-Path $TestDrive "state $([guid]::NewGuid().ToString('N').Substring(0, 6))"; UPSTREAM_API_KEY = 'sk-secret-4711-up' }
        Set-Batch completed @()
        $Faults.On('GET /v1/models', @(New-Answer @{ data = @(@{ id = 'tiny' }) }))
    }
    AfterEach { (Invoke-ChildShell '@(Get-BatchServer).Count' $State).Output.Trim() | Should -Be 0 -Because 'what it started is stopped' }

    It 'runs the rows through the model server, and leaves nothing behind: exit code 0' {
        $Faults.On('POST /v1/chat/completions', @(New-Answer ((New-WireLine 'x' 'from afar' | ConvertFrom-Json).response.body)))
        $out = Join-Path $TestDrive local.csv
        $work = New-WorkPath
        $run = Invoke-Example LocalModel @{ Upstream = $Faults.BaseUri; Path = New-RowFile a, b; Destination = $out; WorkPath = $work } $State
        $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
        (Import-Csv -LiteralPath $out).Answer | Should -Be 'from afar', 'from afar'
        $calls = @($Faults.Calls | Where-Object Path -EQ '/v1/chat/completions')
        $calls.Count | Should -Be 2
        $calls[0].Text | Should -Match '"model":"tiny"'
        $calls[0].Headers['Authorization'] | Should -Be 'Bearer sk-secret-4711-up'
        Test-Path -LiteralPath $work | Should -BeFalse
    }

    It 'keeps the answers if some rows have none: exit code 1' {
        $Faults.On('POST /v1/chat/completions', @(New-Refusal 400))
        $work = New-WorkPath
        $out = Join-Path $TestDrive refused.csv
        $run = Invoke-Example LocalModel @{ Upstream = $Faults.BaseUri; Path = New-RowFile a, b; Destination = $out; WorkPath = $work } $State
        $run.ExitCode | Should -Be 1 -Because "$($run.Output) $($run.Error)"
        (Import-Csv -LiteralPath $out).AnswerStatus | Should -Be 'Failed', 'Failed'
        Test-Path -LiteralPath (Join-Path $work checkpoint) | Should -BeTrue
    }

    It 'reports that no model server runs: exit code 1' {
        $run = Invoke-Example LocalModel @{ Upstream = "http://127.0.0.1:$(Get-FreePort)/v1"; WorkPath = New-WorkPath; Destination = Join-Path $TestDrive none.csv } $State
        $run.ExitCode | Should -Be 1
        $run.Error | Should -Match 'refused'
    }
}

Describe 'In Constrained Language Mode' {
    BeforeDiscovery {
        # With returns the parameters of the script; Says is its output. The echo model answers Classify with the name of the row.
        $cases = @(
            @{ Name = 'Classify'; Code = 0; Says = '1 rows have a category, 0 have none'; With = { @{ Path = New-RowFile '{"category":"delivery","urgent":true}'; TextColumn = 'Id'; Destination = Join-Path $Work new classified.csv } } }
            @{ Name = 'Demo'; Code = 0; Says = '66 tickets sent, 66 answers, \d+ tokens, 0 differences'; With = { @{ } } }
            @{ Name = 'Embed'; Code = 0; Says = '66 vectors, 0 rows failed'; With = { @{ Destination = Join-Path $Work new vectors.jsonl } } }
            @{ Name = 'LocalModel'; Code = 0; Says = '66 rows answered, 0 not'; With = { @{ Upstream = 'echo'; Model = 'echo'; WorkPath = $Work; Destination = Join-Path $TestDrive new constrained.csv } } }
            @{ Name = 'Nightly'; Code = 0; Says = '66 succeeded'; With = { @{ WorkPath = $Work; Date = $Night } } }
            @{ Name = 'Nightly'; Code = 2; Says = 'Could not finish: .*none\.csv'; With = { @{ WorkPath = $Work; Date = $Night; Path = Join-Path $Work none.csv } } }
            @{ Name = 'Receive-Morning'; Code = 0; Says = '2 of 2 rows are answered'; With = { Send-Evening $Server.Uri; @{ WorkPath = $Work; Date = $Night } } }
            @{ Name = 'Receive-Morning'; Code = 3; Says = '1 of 2 rows are answered .* Run this script again at \d{4}-\d\d-\d\d \d\d:\d\d\.'; With = { Set-Batch in_progress (New-WireLine 'a' 'one') 2; Send-Evening $Faults.BaseUri; @{ WorkPath = $Work; Date = $Night } } }
            @{ Name = 'Submit-Evening'; Code = 2; Says = '^Nothing was sent: the script needs Full Language mode \(here it is ConstrainedLanguage\).*\n$'; With = { @{ WorkPath = $Work; Date = $Night } } }
        )
        $scripts = (Get-ChildItem $PSScriptRoot/../../examples/*.ps1).BaseName
    }

    It 'tests each example' -ForEach @{ Scripts = $scripts; Tried = $cases.Name } {
        $Tried | Sort-Object -Unique | Should -Be ($Scripts | Sort-Object)
    }

    It '<Name> works, or explains in one line why it cannot: exit code <Code>' -ForEach $cases {
        $script:Work = New-WorkPath
        # Two names that differ only in case.
        function Send-Evening([uri] $BaseUri) {
            $run = Invoke-Example Submit-Evening @{ Path = New-RowFile 'a', 'A'; WorkPath = $Work; Date = $Night; BaseUri = $BaseUri; Model = 'echo' }
            $run.ExitCode | Should -Be 0 -Because "$($run.Output) $($run.Error)"
            if ($BaseUri -eq $Server.Uri) {
                $null = Wait-Batch -Id (Get-Content -LiteralPath (Join-Path $Work $Night sent.json) -Raw | ConvertFrom-Json).Parts.BatchId
            }
        }
        $with = & $With
        if ($Name -ne 'Demo') { $with.Module = $ModulePath }
        $with | ConvertTo-Json | Set-Content -LiteralPath $TestDrive/with.json
        Set-Content -LiteralPath $TestDrive/constrained.ps1 @"
`$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'
`$with = Get-Content -LiteralPath '$TestDrive/with.json' -Raw | ConvertFrom-Json -AsHashtable
& '$Root/examples/$Name.ps1' @with
exit `$LASTEXITCODE
"@
        $run = Receive-Shell (Start-Shell '-File', "$TestDrive/constrained.ps1" @{ INFERENCE_BASE_URL = "$($Server.Uri)"; XDG_STATE_HOME = Join-Path $TestDrive constrained })
        $run.Error | Should -BeNullOrEmpty
        $run.ExitCode | Should -Be $Code -Because $run.Output
        $run.Output | Should -Match $Says
    }
}
