BeforeAll {
    . $PSScriptRoot/Service.ps1
    function Test-Alive([int] $Id) { [bool](Get-Process -Id $Id -ErrorAction Ignore) }
}

AfterAll { Stop-TestServices }

Describe 'Stop-BatchServer' {
    AfterEach { Get-BatchServer | Stop-BatchServer }

    It 'stops the service of the session, which keeps its connection, so that no call reaches a service that bills' {
        $env:INFERENCE_BASE_URL = 'http://127.0.0.1:2/v1'
        $other = Start-TestService
        $mine = Start-TestService
        Stop-BatchServer | Should -BeNullOrEmpty
        Test-Alive $mine.ProcessId | Should -BeFalse
        Test-Alive $other.ProcessId | Should -BeTrue
        (Get-BatchConnection).BaseUri | Should -Be $mine.Uri
        (Get-ErrorOf { Get-Batch x })[0] | Should -Match 'Start-BatchServer'
        Disconnect-BatchService
        (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:2/v1'
        Remove-Item Env:INFERENCE_BASE_URL
    }

    It 'stops the only running service' {
        $server = Start-TestService
        Disconnect-BatchService
        Stop-BatchServer
        Test-Alive $server.ProcessId | Should -BeFalse
    }

    It 'stops the services from the pipeline, and keeps a connection to another service' {
        $made = 1..2 | ForEach-Object { Start-TestService }
        Connect-BatchService -BaseUri http://127.0.0.1:3/v1
        $made | Stop-BatchServer
        Get-BatchServer | Should -BeNullOrEmpty
        (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:3/v1'
        Disconnect-BatchService
    }

    It 'accepts a service that has already ended' {
        $server = Start-TestService
        $server | Stop-BatchServer
        { $server | Stop-BatchServer -ErrorAction Stop } | Should -Not -Throw
    }

    It 'reports ServerNotFound if several services run and none belongs to the session' {
        $made = 1..2 | ForEach-Object { Start-TestService }
        Disconnect-BatchService
        $problem = Get-ErrorOf { Stop-BatchServer }
        Get-ErrorId $problem | Should -Be 'ServerNotFound'
        $problem.CategoryInfo.Category | Should -Be 'ObjectNotFound'
        foreach ($server in $made) { Test-Alive $server.ProcessId | Should -BeTrue }
    }

    It 'reports ServerNotFound if no service runs' {
        Get-ErrorId (Get-ErrorOf { Stop-BatchServer }) | Should -Be 'ServerNotFound'
    }

    It 'stops nothing for an empty pipeline, or with -WhatIf' {
        $server = Start-TestService
        @() | Stop-BatchServer
        $server | Stop-BatchServer -WhatIf
        Stop-BatchServer -WhatIf
        Test-Alive $server.ProcessId | Should -BeTrue
    }

    It 'waits until the service has ended, so that nothing stays locked' {
        $server = Start-TestService
        $server | Stop-BatchServer
        (Start-BatchServer -DataPath $server.DataPath).DataPath | Should -Be $server.DataPath
    }
}
