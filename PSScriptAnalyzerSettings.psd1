@{
    IncludeDefaultRules = $true
    Severity            = @('Error', 'Warning')
    ExcludeRules        = @(
        # build.ps1, examples and benchmarks talk to a person.
        'PSAvoidUsingWriteHost'
        # Does not see a script's parameter where a function of the script uses it.
        'PSReviewUnusedParameter'
        # PowerShell 7 reads and writes UTF-8 without a mark.
        'PSUseBOMForUnicodeEncodedFile'
        # The cmdlets are C#; what functions there are here are words for tests, and change nothing by themselves.
        'PSUseShouldProcessForStateChangingFunctions'
        'PSUseSingularNouns'
        # Does not see that what a block of a Pester test sets is used in the next.
        'PSUseDeclaredVarsMoreThanAssignments'
        # Tests give keys that are none.
        'PSAvoidUsingConvertToSecureStringWithPlainText'
    )
    Rules               = @{
        PSPlaceOpenBrace           = @{ Enable = $true; OnSameLine = $true; NewLineAfter = $true; IgnoreOneLineBlock = $true }
        PSPlaceCloseBrace          = @{ Enable = $true; NewLineAfter = $true; IgnoreOneLineBlock = $true; NoEmptyLineBefore = $true }
        PSUseConsistentIndentation = @{ Enable = $true; Kind = 'space'; IndentationSize = 4; PipelineIndentation = 'IncreaseIndentationForFirstPipeline' }
        PSUseConsistentWhitespace  = @{ Enable = $true; CheckParameter = $false; IgnoreAssignmentOperatorInsideHashTable = $true }
        PSUseCorrectCasing         = @{ Enable = $true }
        PSUseCompatibleSyntax      = @{ Enable = $true; TargetVersions = @('7.0') }
    }
}
