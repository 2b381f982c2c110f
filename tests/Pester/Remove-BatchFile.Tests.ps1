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
        @{ How = 'by ID'; Call = { Remove-BatchFile $File.Id } }
        @{ How = 'an ID from the pipeline'; Call = { $File.Id | Remove-BatchFile } }
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

    It 'reports FileNotFound for an unknown file, with the ID as its target' {
        $problem = Get-ErrorOf { Remove-BatchFile file-none }
        Get-ErrorId $problem | Should -Be 'FileNotFound'
        $problem.TargetObject | Should -Be 'file-none'
    }

    It 'reports the service''s message for the input of a running batch' {
        $batch = $File | New-Batch
        $Faults.On('DELETE /v1/files/', @(New-Refusal 409 'the file is in use' -Header @{ 'x-should-retry' = 'false' }))
        $problem = Get-ErrorOf { $File | Remove-BatchFile -BaseUri $Faults.BaseUri }
        Get-ErrorId $problem | Should -Be 'ServiceRejected'
        "$problem" | Should -Match 'the file is in use'
        $batch | Stop-Batch | Out-Null
    }

    It 'deletes a file at its service' {
        $elsewhere = $File
        Connect-BatchService -BaseUri $Faults.BaseUri
        $elsewhere | Remove-BatchFile
        $Faults.Calls | Should -BeNullOrEmpty
        Connect-BatchService -BaseUri $Server.Uri
    }
}
