# The IDs of errors are in three places, which must agree: the categories in ErrorRecords, without which no
# record can be created; Messages.resx in Core, which contains all texts; and docs/errors.md for users.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $null = New-BatchRequest x -Model m # Loads the assemblies with the types below.
    $script:root = Join-Path $PSScriptRoot ../..
    $script:assembly = (Get-Command Get-Batch -Module InferenceBatch).ImplementingType.Assembly
    $script:hidden = [Reflection.BindingFlags]'NonPublic, Static'
    $script:ids = @($assembly.GetType('InferenceBatch.Cmdlets.ErrorRecords').GetField('s_categories', $hidden).GetValue($null).Keys)
    $script:texts = @{}
    foreach ($entry in [Resources.ResourceReader]::new([InferenceBatch.Model.Messages].Assembly.GetManifestResourceStream('InferenceBatch.Messages.resources'))) { $texts[$entry.Key] = $entry.Value }
    $script:namesOfErrors = @($texts.Keys) -notmatch '^(Action|Answer|Argument|Input|Progress|Target|Unwritable|Verbose|Warning)\b'

    # Splits the content of a bracket at its own commas.
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

    # Finds every use of a text or an ID in the source, with its values.
    $script:source = Get-ChildItem (Join-Path $root src/InferenceBatch), (Join-Path $root src/InferenceBatch.Core) -Recurse -Filter *.cs | Where-Object FullName -NotMatch '[\\/]obj[\\/]'
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

    # Finds every place that throws, or writes to the user, with its text.
    $script:sayings = foreach ($file in $source) {
        $text = Get-Content -LiteralPath $file -Raw
        foreach ($call in [regex]::Matches($text, '(?<How>new \w*Exception|\bnew(?=\(\s*(ServiceErrorKind|RefusalReason)\.)|(?<=\) *\r?\n? *: )IOException|(?<![A-Za-z])(Write(Verbose|Warning|WarningLine)|ShouldProcess|ShouldContinue|Progress|ProgressReporter|_progress = new|_?progress!?\.Report|warn\?\.Invoke))\(')) {
            $values = @(Split-Argument $text.Substring($call.Index + $call.Length))
            @{
                How = $call.Groups['How'].Value -replace '^new '
                Kind = [regex]::Match($values[0], '^\s*(?:ServiceErrorKind|RefusalReason)\.(\w+)$').Groups[1].Value
                Literals = @([regex]::Matches(($values -join ','), '"((?:[^"\\]|\\.)*)"') | ForEach-Object { $_.Groups[1].Value })
                Where = "$($file.Name): $($call.Value)$($values -join ',')"
            }
        }
    }
}

Describe 'Error IDs' {
    It 'are exactly those in docs/errors.md, each once, in order' {
        $listed = @((Get-Content -LiteralPath (Join-Path $root docs/errors.md) -Raw) -replace '(?s)\n## IDs of PowerShell.*' -split '\n' | Select-String '^\| `(\w+)` \| \S.* \| \S.* \|$' | ForEach-Object { $_.Matches[0].Groups[1].Value })
        $listed | Should -Be ($ids | Sort-Object)
    }

    It 'are all used in the source' {
        $named = @($uses | Where-Object How -NE 'Messages.Text' | ForEach-Object { $_.Name.Split('.')[0] }) + [Enum]::GetNames([InferenceBatch.Service.ServiceErrorKind]) + [Enum]::GetNames([InferenceBatch.Lines.RefusalReason])
        $named | Sort-Object -Unique | Should -Be ($ids | Sort-Object)
    }

    It 'are created in one place' {
        @($source | Where-Object Name -NE ErrorRecords.cs | Select-String 'new ErrorRecord\(').Line | Should -BeNullOrEmpty
    }
}

Describe 'Messages.resx' {
    It 'has a text for every name in the source, and no unused text' {
        $uses.Count | Should -BeGreaterThan 200
        @($uses | Where-Object How -NE 'PassOn' | ForEach-Object Name | Sort-Object -Unique) | Should -Be ($texts.Keys | Sort-Object)
    }

    It 'names each text of an error by its ID' {
        $namesOfErrors.Count | Should -BeGreaterThan 100
        $namesOfErrors | ForEach-Object { $_.Split('.')[0] | Should -BeIn $ids }
    }

    It 'has a text for every error' {
        # Unexpected has the text of its exception.
        $ids | Where-Object { $_ -notin @($namesOfErrors | ForEach-Object { $_.Split('.')[0] }) } | Should -Be Unexpected
    }

    It 'has all messages: the source contains none' {
        # These are for developers, or give the position of an error in a service's JSON, which another message includes.
        $said = $sayings | Where-Object How -NotIn NotSupportedException, ArgumentOutOfRangeException, JsonException
        $said.Count | Should -BeGreaterThan 100
        $said | Where-Object { $_.Literals | Where-Object { $_ -match '\p{L}' -and -not $texts.ContainsKey($_) } } | ForEach-Object Where | Should -BeNullOrEmpty
    }

    It 'has the text under the ID that the exception is reported with' {
        # As in ErrorRecords.From. An IOException can also be part of another error.
        $idsOf = @{
            ArgumentException = 'InvalidValue'; FormatException = 'InvalidPriceTable'; RunMismatchException = 'CheckpointMismatch'
            TextEncodingException = 'InvalidBatchFile'; WebhookListenException = 'WebhookListenFailed'; ServerStartException = 'ServerStartFailed'
            IOException = 'FileUnreadable', 'FileUnwritable', 'DownloadIncomplete', 'CheckpointInUse'
        }
        $checked = 0
        foreach ($saying in $sayings | Where-Object { $_.Kind -or $idsOf.ContainsKey($_.How) }) {
            foreach ($name in $saying.Literals | Where-Object { $texts.ContainsKey($_) }) {
                $name.Split('.')[0] | Should -BeIn @($saying.Kind ? $saying.Kind : $idsOf[$saying.How]) -Because $saying.Where
                $checked++
            }
        }

        $checked | Should -BeGreaterThan 60
        $advice = [regex]::Matches((Get-Content -LiteralPath ($source | Where-Object Name -EQ ErrorTranslator.cs) -Raw), 'ServiceErrorKind\.(\w+) => Messages\.Text\("(\w+)\.Advice"\)')
        $advice.Count | Should -BeGreaterThan 5
        $advice | ForEach-Object { $_.Groups[2].Value | Should -Be $_.Groups[1].Value }
    }

    It 'gets as many values as a text has placeholders' {
        foreach ($use in $uses | Where-Object How -NE 'PassOn') {
            $wanted = @([regex]::Matches($texts[$use.Name] -replace '\{\{|\}\}', '\{\d') | ForEach-Object Value | Sort-Object -Unique).Count
            $use.Values | Should -Be $wanted -Because $use.Where
        }
    }
}
