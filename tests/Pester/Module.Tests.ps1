BeforeAll {
    $root = Join-Path $PSScriptRoot .. .. | Resolve-Path
    $manifestPath = Join-Path $root InferenceBatch.psd1
    $manifest = Test-ModuleManifest -Path $manifestPath
    $module = Import-Module $manifestPath -Force -PassThru
}

Describe 'The module' {
    It 'has the one version of Directory.Build.props' {
        $properties = [xml](Get-Content -LiteralPath (Join-Path $root Directory.Build.props) -Raw)
        $manifest.Version | Should -Be ([version]$properties.SelectSingleNode('//Version').InnerText)
    }

    It 'exports every cmdlet that its manifest names, and nothing else' {
        $named = (Import-PowerShellDataFile -LiteralPath $manifestPath).CmdletsToExport
        $module.ExportedCommands.Keys | Sort-Object | Should -Be ($named | Sort-Object)
        Get-Command -Module $module.Name | Should -BeOfType System.Management.Automation.CmdletInfo
    }

    It 'uses approved verbs and one noun family' {
        $verbs = (Get-Verb).Verb
        foreach ($command in $module.ExportedCommands.Values) {
            $command.Verb | Should -BeIn $verbs
            $command.Noun | Should -Match '^Batch'
        }
    }

    It 'brings no assembly but its own two' {
        (Get-ChildItem -Path (Join-Path $root bin) -Filter *.dll).Name | Sort-Object |
            Should -Be 'InferenceBatch.Core.dll', 'InferenceBatch.dll'
    }

    It 'brings the service' {
        foreach ($file in 'inference-batch.dll', 'inference-batch.runtimeconfig.json', 'inference-batch.deps.json') {
            Join-Path $root bin server $file | Should -Exist
        }
    }

    It 'says what each cmdlet gives' {
        foreach ($command in $module.ExportedCommands.Values) {
            $command.OutputType | Should -Not -BeNullOrEmpty -Because "$($command.Name) has an OutputType"
        }
    }
}

Describe 'The example tickets' {
    BeforeAll {
        $tickets = Import-Csv -LiteralPath (Join-Path $root examples tickets.csv)
    }

    It 'are at least 60, each with an id of its own' {
        $tickets.Count | Should -BeGreaterOrEqual 60
        ($tickets.Id | Sort-Object -Unique).Count | Should -Be $tickets.Count
    }

    It 'hold what breaks careless code: languages, emoji, quotes, line breaks, an empty body' {
        ($tickets.Language | Sort-Object -Unique).Count | Should -BeGreaterThan 5
        @($tickets | Where-Object Body -EQ '').Count | Should -Be 1
        $tickets.Body -match '[\ud83c-\ud83e]' | Should -Not -BeNullOrEmpty
        $tickets.Body -match '"' | Should -Not -BeNullOrEmpty
        $tickets.Body -match "`n" | Should -Not -BeNullOrEmpty
    }
}
