@{
    IncludeDefaultRules = $true
    Severity            = @('Error', 'Warning')
    ExcludeRules        = @(
        # build.ps1, examples and benchmarks write for the user at the console.
        'PSAvoidUsingWriteHost'
        # Does not detect that a function of a script uses the script's parameter.
        'PSReviewUnusedParameter'
        # PowerShell 7 reads and writes UTF-8 without a byte order mark.
        'PSUseBOMForUnicodeEncodedFile'
        # The cmdlets are written in C#. The functions in scripts are helpers, mostly of tests.
        'PSUseShouldProcessForStateChangingFunctions'
        'PSUseSingularNouns'
        # Does not detect that a block of a Pester test uses a variable that another block sets.
        'PSUseDeclaredVarsMoreThanAssignments'
        # Tests use invalid keys.
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
