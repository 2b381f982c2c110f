# Tests the help as users get it: by Get-Help, from a clone, without PlatyPS. If PlatyPS is installed, en-US is also
# generated from the pages, and must be the same. Every example of every page runs against the local service.

BeforeDiscovery {
    $script:root = Join-Path $PSScriptRoot ../..
    $script:named = @((Import-PowerShellDataFile -LiteralPath $root/InferenceBatch.psd1).CmdletsToExport | ForEach-Object { @{ Name = $_ } })
    $script:hasPlatyPS = [bool](Get-Module -ListAvailable -Name Microsoft.PowerShell.PlatyPS)
    $script:topics = @(Get-ChildItem $root/docs/en-US/about_*.md | ForEach-Object { @{ Topic = $_.BaseName } })
}

BeforeAll {
    . $PSScriptRoot/Service.ps1
    # Runs in a new process: if the module is loaded, PlatyPS also reads its current help.
    function Invoke-ExportHelp([string] $Script, [string] $Destination) {
        $output = Invoke-PowerShell -File $Script -Destination $Destination *>&1
        [pscustomobject]@{ Output = "$($output -join "`n")"; ExitCode = $LASTEXITCODE }
    }
    # Removes the parts of an output that vary: IDs, ports, times, ages and paths.
    function Get-Lasting([string] $Text) {
        $patterns = '\b(batch|file)_?-?[A-Za-z0-9]{20,}', '(?<=127\.0\.0\.1:)\d+', '\d\d/\d\d/\d{4} \d\d:\d\d(:\d\d)?( \+\d\d:\d\d)?', '\d\d:\d\d:\d\d(\.\d+)?', '\b\d+s\b', '(?<=ProcessId +: |process )\d+', '/\S*/home-[\w-]+|/home/nora', '-{2,}'
        foreach ($pattern in $patterns) { $Text = $Text -replace $pattern }
        ($Text -replace '\s+', ' ').Trim()
    }
    $script:Common = [System.Management.Automation.PSCmdlet]::CommonParameters + [System.Management.Automation.PSCmdlet]::OptionalCommonParameters
}

AfterAll { Stop-TestServices }

Describe 'The help of <Name>' -ForEach $named {
    BeforeAll {
        $script:command = Get-Command $Name -Module InferenceBatch
        $script:help = Get-Help $Name -Full
        $script:own = @($command.Parameters.Values | Where-Object Name -NotIn $Common)
    }

    It 'has a synopsis and a description' {
        $help.Synopsis.Trim() | Should -Match '^[A-Z].+\.$'
        "$($help.description.Text)".Length | Should -BeGreaterThan 100
    }

    It 'has at least two examples' {
        @($help.examples.example).Count | Should -BeGreaterOrEqual 2
        foreach ($example in $help.examples.example) {
            $example.introduction.Text -join "`n" | Should -Match "(?m)^PS> " -Because $example.title
        }
        ($help.examples | Out-String) | Should -Match ([regex]::Escape($Name))
    }

    It 'describes every parameter, with its default' {
        @($help.parameters.parameter.name) | Sort-Object | Should -Be @(@($own.Name) + @('WhatIf', 'Confirm').Where({ $command.Parameters.ContainsKey($_) }) | Sort-Object -Unique)
        foreach ($parameter in $help.parameters.parameter) {
            "$($parameter.description.Text)" | Should -Not -BeNullOrEmpty -Because "-$($parameter.name) is described"
            $parameter.defaultValue | Should -Not -BeNullOrEmpty -Because "-$($parameter.name) has a default, or None"
        }
    }

    It 'marks the same parameters as mandatory as the cmdlet' {
        foreach ($parameter in $own) {
            $isMandatory = $parameter.ParameterSets.Values.IsMandatory -contains $true
            @($help.parameters.parameter).Where({ $_.name -eq $parameter.Name }).required | Should -Be "$isMandatory".ToLowerInvariant() -Because "-$($parameter.Name)"
        }
    }

    It 'describes durations in seconds' {
        foreach ($parameter in $own | Where-Object { $_.Aliases -contains "$($_.Name)Sec" }) {
            "$(@($help.parameters.parameter).Where({ $_.name -eq $parameter.Name }).description.Text)" | Should -Match '\bseconds\b' -Because "-$($parameter.Name)"
        }
    }

    It 'links to commands and topics that exist' {
        $links = @($help.relatedLinks.navigationLink.linkText)
        $links | Should -Not -BeNullOrEmpty
        foreach ($link in $links) {
            if ($link -like 'about_*') { Join-Path $ModuleFolder "en-US/$link.help.txt" | Should -Exist }
            else { Get-Command $link -Module InferenceBatch -ErrorAction Ignore | Should -Not -BeNullOrEmpty -Because "$link is linked to" }
        }
    }

    It 'has no unfilled placeholders' {
        $help | Out-String -Width 200 | Should -Not -Match '\{\{|Fill in'
    }
}

Describe 'The topic <Topic>' -ForEach $topics {
    It 'is found by Get-Help and fits 100 columns' {
        $text = Get-Help $Topic | Out-String -Width 200
        $text | Should -Match "TOPIC\s+$Topic"
        $text | Should -Match 'SHORT DESCRIPTION\s+\S'
        # Code is not wrapped; all other text is.
        @($text -split '\r?\n' | Where-Object { $_.Length -gt 80 -and $_ -notmatch '^ {4}(PS> | {4})' }) | Should -BeNullOrEmpty
    }
}

Describe 'The tables of the topics' {
    It 'describe each provider as its profile does' {
        $rows = @((Get-Content -LiteralPath $Root/docs/en-US/about_BatchProviders.md) -match '^\w+ +([A-Z]+_[A-Z_]+|none) +\S')
        @($rows | ForEach-Object { ($_ -split ' +')[0] }) | Should -Be @([InferenceBatch.Service.ServiceProfile]::All.Name)
        foreach ($row in $rows) {
            $name, $variable, $note = $row -split ' +', 3
            $facts = [InferenceBatch.Service.ServiceProfile]::Find($name)
            if ($name -ne 'Local') { $variable | Should -Be $facts.KeyVariable -Because $name }
            $note -match 'one model per file' | Should -Be $facts.OneModelOnly -Because $name
            $note -match 'give -BaseUri' | Should -Be ($null -eq $facts.BaseUri) -Because $name
            $note -match 'one upload per minute' | Should -Be ($facts.UploadInterval.TotalMinutes -eq 1) -Because $name
            $note -match '([\d,]+) requests' ? ($Matches[1] -replace ',') : 50000 | Should -Be $facts.MaxRequests -Because $name
            $note -match '(\d+) ([MG]B)' ? [long]($Matches[1] + $Matches[2]) : 200MB | Should -Be $facts.MaxBytes -Because $name
            $note -match 'windows (.*)$' ? $Matches[1] : '24h' | Should -Be ($facts.CompletionWindows -join ', ') -Because $name
            @($note -split '[; ]+' -match '^/') | Should -Be @($facts.MoreEndpoints) -Because $name
        }
    }

    It 'have the same defaults for the settings of the service as docs/service.md' {
        $options = @{}
        foreach ($row in [regex]::Matches((Get-Content -LiteralPath $Root/docs/service.md -Raw), '(?m)^\| `--([\w-]+)` \| `([^`]+)` \|')) { $options[$row.Groups[1].Value] = $row.Groups[2].Value }
        $settings = [regex]::Matches((Get-Content -LiteralPath $Root/docs/en-US/about_BatchServer.md -Raw), '(?m)^INFERENCE_BATCH_(\w+) +(\S+) ')
        $settings.Count | Should -BeGreaterThan 5
        foreach ($setting in $settings) { $setting.Groups[2].Value | Should -Be $options[$setting.Groups[1].Value.Replace('_', '-').ToLowerInvariant()] -Because $setting.Value }
    }
}

Describe 'The help file' {
    It 'has the defaults of the service: -<Name>' -ForEach @(
        @{ Name = 'MaxAttempts'; Option = 'max-attempts'; Value = { $args[0] } }
        @{ Name = 'RequestTimeout'; Option = 'request-timeout'; Value = { "$([int]($args[0].TrimEnd('m')) * 60)" } }
        @{ Name = 'CompletionWindow'; Option = 'completion-window'; Value = { $args[0] } }
    ) {
        $said = & (Join-Path $ModuleFolder bin/server/inference-batch) serve --help | Select-String "^ +--$Option <.*Default: (\S+)\. "
        (Get-Help Start-BatchServer -Parameter $Name).defaultValue | Should -BeExactly (& $Value $said.Matches[0].Groups[1].Value)
    }

    It 'is up to date with the pages' -Skip:(-not $hasPlatyPS) {
        $made = Invoke-ExportHelp "$Root/docs/Export-Help.ps1" "$TestDrive/en-US"
        $made.ExitCode | Should -Be 0 -Because $made.Output
        foreach ($file in Get-ChildItem -LiteralPath $TestDrive/en-US) {
            (Get-Content -LiteralPath $Root/en-US/$($file.Name) -Raw) -ceq (Get-Content -LiteralPath $file -Raw) |
                Should -BeTrue -Because "en-US/$($file.Name) is what ./build.ps1 -Task Docs makes now"
        }
        (Get-ChildItem -LiteralPath $Root/en-US).Name | Should -Be (Get-ChildItem -LiteralPath $TestDrive/en-US).Name
    }

    It 'is not generated if a page and its cmdlet differ: <Change>' -Skip:(-not $hasPlatyPS) -ForEach @(
        @{ Change = 'a missing parameter'; Pattern = '(?s)### -Any\n.*?```yaml.*?```\n'; To = ''; Says = 'the parameters are' }
        @{ Change = 'another type'; Pattern = '(?s)(### -Timeout\n.*?Type: )System.Nullable`1\[System.Double\]'; To = '${1}System.Int32'; Says = '-Timeout: the type is' }
        @{ Change = 'another default'; Pattern = '(?s)(### -Timeout\n.*?DefaultValue: )None'; To = '${1}60'; Says = "-Timeout: the default is 'None'" }
        @{ Change = 'other input'; Pattern = '### InferenceBatch\.Model\.Batch\[\]'; To = '### System.DateTime'; Says = "the inputs are 'InferenceBatch.Model.Batch[], System.String[]'" }
        @{ Change = 'no longer mandatory'; Pattern = '(?s)(### -Id\n.*?IsRequired: )true'; To = '${1}false'; Says = '-Id, set Id: required' }
        @{ Change = 'a missing alias'; Pattern = '(?s)(### -Id\n.*?)Aliases:\n- BatchId'; To = '${1}Aliases: []'; Says = '-Id: the aliases are' }
        @{ Change = 'an unfilled placeholder'; Pattern = '(?s)(### -Id\n\n)[^\n]+'; To = '${1}{{ Fill Id Description }}'; Says = 'a placeholder was not filled in' }
    ) {
        $copy = New-Item (Join-Path $TestDrive "copy-$([guid]::NewGuid().ToString('N').Substring(0, 8))") -ItemType Directory
        $null = New-Item $copy/docs, $copy/bin -ItemType Directory
        Copy-Item $Root/docs/en-US, $Root/docs/Export-Help.ps1 $copy/docs -Recurse
        Copy-Item -LiteralPath $ModulePath $copy
        Copy-Item $ModuleFolder/bin/*.* $copy/bin
        $page = Get-Content $copy/docs/en-US/Wait-Batch.md -Raw
        $changed = $page -replace $Pattern, $To
        $changed | Should -Not -BeExactly $page
        Set-Content $copy/docs/en-US/Wait-Batch.md $changed -NoNewline
        $made = Invoke-ExportHelp "$copy/docs/Export-Help.ps1" "$copy/en-US"
        $made.ExitCode | Should -Not -Be 0
        $made.Output | Should -Match ('Wait-Batch\.md.*' + [regex]::Escape($Says))
        Join-Path $copy en-US | Should -Not -Exist
    }

    It 'is found in another shell by the name of the command' {
        $shell = Invoke-ChildShell 'Get-Help Wait-Batch -Examples | Out-String'
        $shell.Output | Should -Match 'Send-BatchFile ./tickets.jsonl \| New-Batch \| Wait-Batch'
    }
}

Describe 'The examples of <Name>' -ForEach $named {
    It 'run' {
        $page = Get-Content -LiteralPath $Root/docs/en-US/$Name.md -Raw
        $examples = @([regex]::Matches($page, '(?s)```powershell\n(?<Code>.*?)```(\s+```output\n(?<Output>.*?)```)?'))
        $examples.Count | Should -BeGreaterOrEqual 2
        $folder = New-Item (Join-Path $TestDrive "home-$Name") -ItemType Directory
        Copy-Item $Root/examples/tickets.csv $folder
        $number = 0
        foreach ($example in $examples) {
            Set-Content "$folder/$number.ps1" $example.Groups['Code'].Value
            $number++
        }
        $shell = Invoke-ChildShell @"
Set-Location '$folder'
if ('$Name' -ne 'Start-BatchServer') { `$null = Start-BatchServer }
Import-Csv ./tickets.csv | New-BatchRequest -Model echo -CustomId { `$_.Id } -Prompt { `$_.Subject } | Export-BatchFile ./tickets.jsonl | Out-Null
`$failures = foreach (`$number in 0..$($number - 1)) {
    `$Error.Clear()
    try { . ([scriptblock]::Create((Get-Content ./`$number.ps1 -Raw))) 2>&1 3>&1 | Out-String -Width 110 | Set-Content ./`$number.out } catch { }
    foreach (`$record in `$Error) { @{ Number = `$number; Id = `$record.FullyQualifiedErrorId; Message = "`$record" } }
}
Get-BatchServer | Stop-BatchServer
ConvertTo-Json @(`$failures) | Set-Content ./failures.json
"@ @{ XDG_STATE_HOME = "$folder/.local/state"; HOME = "$folder"; INFERENCE_API_KEY = ($Name -eq 'Connect-BatchService' ? 'page-key' : ''); GROQ_API_KEY = 'page-key' }
        $shell.ExitCode | Should -Be 0 -Because $shell.Error
        $failures = @(Get-Content $folder/failures.json -Raw | ConvertFrom-Json)
        # An example that shows an error may fail.
        @($failures | Where-Object { $examples[$_.Number].Groups['Output'].Value -notmatch '(?m)^\w+-Batch\w*:' } | ForEach-Object Message) | Should -BeNullOrEmpty

        # Cancelling is a race, and the mode and owner of a file depend on the system.
        foreach ($number in $IsLinux ? 0..($examples.Count - 1) : @()) {
            $shown = $examples[$number].Groups['Output'].Value
            if ($shown -match '(?m)^\w+-Batch\w*:|^What if:|UnixMode' -or -not $shown -or $Name -eq 'Stop-Batch') { continue }
            Get-Lasting (Get-Content $folder/$number.out -Raw) | Should -BeExactly (Get-Lasting $shown) -Because "that is what example $($number + 1) shows"
        }
        foreach ($said in [regex]::Matches($page, '(?m)^What if: .*$').Value) { Get-Lasting $shell.Output | Should -BeLike "*$([WildcardPattern]::Escape((Get-Lasting $said)))*" }
    }
}
