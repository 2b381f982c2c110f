# The ids of the module's errors stand in three places, which must agree: the categories of ErrorRecords, without which no
# record can be made; Messages.resx; and docs/errors.md, which a person reads.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $null = New-BatchRequest x -Model m # Loads what the types below stand in.
    $script:root = Join-Path $PSScriptRoot ../..
    $script:assembly = (Get-Command Get-Batch -Module InferenceBatch).ImplementingType.Assembly
    $script:hidden = [Reflection.BindingFlags]'NonPublic, Static'
    $script:ids = @($assembly.GetType('InferenceBatch.Pipeline.ErrorRecords').GetField('s_categories', $hidden).GetValue($null).Keys)
    $script:texts = @{}
    foreach ($entry in [Resources.ResourceReader]::new($assembly.GetManifestResourceStream('InferenceBatch.Messages.resources'))) { $texts[$entry.Key] = $entry.Value }
    $script:namesOfErrors = @($texts.Keys) -notmatch '^(Argument|Unwritable|Warning)\b'

    # What a bracket holds, split at its own commas.
    function Split-Argument([string] $Text) {
        $depth = 0; $isText = $false; $start = 0
        for ($i = 0; $i -lt $Text.Length; $i++) {
            $c = $Text[$i]
            if ($c -eq '"' -and $Text[$i - 1] -ne '\') { $isText = -not $isText }
            elseif ($isText) { continue }
            elseif ($c -in '(', '[', '{') { $depth++ }
            elseif ($c -in ')', ']', '}') { $depth--; if ($depth -lt 0) { return $Text.Substring($start, $i - $start) } }
            elseif ($c -eq ',' -and $depth -eq 0) { $Text.Substring($start, $i - $start); $start = $i + 1 }
        }
    }

    # Every place in the source that names a text or an id, with the values it gives.
    $script:source = Get-ChildItem (Join-Path $root src/InferenceBatch) -Recurse -Filter *.cs | Where-Object FullName -NotMatch '[\\/]obj[\\/]'
    $script:uses = foreach ($file in $source) {
        $text = Get-Content -LiteralPath $file -Raw
        foreach ($call in [regex]::Matches($text, '(?<![\w.])(?:ErrorRecords\.)?(?<How>Of|Caused|PassOn|Messages\.Text)\(')) {
            $values = @(Split-Argument $text.Substring($call.Index + $call.Length))
            $how = $call.Groups['How'].Value
            $name = $how -eq 'Caused' ? $values[1] : $values[0]
            foreach ($literal in [regex]::Matches($name, '"(\w+(?:\.\w+)?)"')) {
                @{ How = $how; Name = $literal.Groups[1].Value; Values = $values.Count - @{ Of = 2; Caused = 3; PassOn = 0; 'Messages.Text' = 1 }[$how]; Where = "$($file.Name): $($call.Value)$name" }
            }
        }
    }
}

Describe 'Error ids' {
    It 'are listed in docs/errors.md, each once, in order, and no others' {
        $listed = @((Get-Content -LiteralPath (Join-Path $root docs/errors.md) -Raw) -replace '(?s)\n## Ids of PowerShell.*' -split '\n' | Select-String '^\| `(\w+)` \| \S.* \| \S.* \|$' | ForEach-Object { $_.Matches[0].Groups[1].Value })
        $listed | Should -Be ($ids | Sort-Object)
    }

    It 'stand in the source, each' {
        $named = @($uses | Where-Object How -NE 'Messages.Text' | ForEach-Object { $_.Name.Split('.')[0] }) + [Enum]::GetNames([InferenceBatch.Service.ServiceErrorKind]) + [Enum]::GetNames([InferenceBatch.Lines.RefusalReason])
        $named | Sort-Object -Unique | Should -Be ($ids | Sort-Object)
    }

    It 'are made in one place' {
        @($source | Where-Object Name -NE ErrorRecords.cs | Select-String 'new ErrorRecord\(').Line | Should -BeNullOrEmpty
    }
}

Describe 'Messages.resx' {
    It 'has a text for every name in the source, and a use for every text' {
        $uses.Count | Should -BeGreaterThan 60
        @($uses | Where-Object How -NE 'PassOn' | ForEach-Object Name | Sort-Object -Unique) | Should -Be ($texts.Keys | Sort-Object)
    }

    It 'names each text of an error by its id' {
        $namesOfErrors.Count | Should -BeGreaterThan 30
        $namesOfErrors | ForEach-Object { $_.Split('.')[0] | Should -BeIn $ids }
    }

    It 'is given as many values as a text speaks of' {
        foreach ($use in $uses | Where-Object How -NE 'PassOn') {
            $wanted = @([regex]::Matches($texts[$use.Name] -replace '\{\{|\}\}', '\{\d') | ForEach-Object Value | Sort-Object -Unique).Count
            $use.Values | Should -Be $wanted -Because $use.Where
        }
    }
}
