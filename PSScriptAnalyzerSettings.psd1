@{
    IncludeDefaultRules = $true
    Severity            = @('Error', 'Warning')
    ExcludeRules        = @(
        # build.ps1, examples and benchmarks talk to a person.
        'PSAvoidUsingWriteHost'
        # Does not see a script's parameter where a function of the script uses it.
        'PSReviewUnusedParameter'
        # Does not see a variable that another block of a Pester test uses.
        'PSUseDeclaredVarsMoreThanAssignments'
        # The functions here are a script's own; what a person calls are cmdlets, and those are written in C#.
        'PSUseShouldProcessForStateChangingFunctions'
        'PSUseSingularNouns'
        # PowerShell 7 reads UTF-8 without a mark.
        'PSUseBOMForUnicodeEncodedFile'
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
