BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService 'echo?latency=3s'
    $script:Faults = [FaultServer]::new()
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'Remove-BatchFile' {
    BeforeEach {
        $Faults.Reset()
        $script:File = Send-BatchFile (New-InputFile 1)
    }

    It 'deletes a file, and writes nothing: <How>' -ForEach @(
        @{ How = 'by id'; Call = { Remove-BatchFile $File.Id } }
        @{ How = 'an id from the pipeline'; Call = { $File.Id | Remove-BatchFile } }
        @{ How = 'a file from the pipeline'; Call = { $File | Remove-BatchFile } }
        @{ How = 'by property name'; Call = { [pscustomobject]@{ FileId = $File.Id } | Remove-BatchFile } }
    ) {
        & $Call | Should -BeNullOrEmpty
        Get-ErrorId (Get-ErrorOf { Get-BatchFile $File.Id }) | Should -Be 'FileNotFound'
    }

    It 'deletes nothing with -WhatIf' {
        $File | Remove-BatchFile -WhatIf
        (Get-BatchFile $File.Id).Id | Should -Be $File.Id
    }

    It 'an unknown file: FileNotFound, with the id as its target' {
        $problem = Get-ErrorOf { Remove-BatchFile file-none }
        Get-ErrorId $problem | Should -Be 'FileNotFound'
        $problem.TargetObject | Should -Be 'file-none'
    }

    It 'the input of a batch that runs is refused in the service''s words' {
        $batch = $File | New-Batch
        $Faults.On('DELETE /v1/files/', @(New-Refusal 409 'the file is in use' -Header @{ 'x-should-retry' = 'false' }))
        $problem = Get-ErrorOf { $File | Remove-BatchFile -BaseUri $Faults.BaseUri }
        Get-ErrorId $problem | Should -Be 'ServiceRejected'
        "$problem" | Should -Match 'the file is in use'
        $batch | Stop-Batch | Out-Null
    }

    It 'deletes at the service a file came from' {
        $elsewhere = $File
        Connect-BatchService -BaseUri $Faults.BaseUri
        $elsewhere | Remove-BatchFile
        $Faults.Calls | Should -BeNullOrEmpty
        Connect-BatchService -BaseUri $Server.Uri
    }
}
