BeforeAll {
    . $PSScriptRoot/Service.ps1
    function Test-Alive([int] $Id) { [bool](Get-Process -Id $Id -ErrorAction Ignore) }
}

AfterAll { Stop-TestServices }

Describe 'Stop-BatchServer' {
    AfterEach { Get-BatchServer | Stop-BatchServer }

    It 'ends the service of the session, and the session''s connection with it' {
        $env:INFERENCE_BASE_URL = 'http://127.0.0.1:2/v1'
        $other = Start-TestService
        $mine = Start-TestService
        Stop-BatchServer | Should -BeNullOrEmpty
        Test-Alive $mine.ProcessId | Should -BeFalse
        Test-Alive $other.ProcessId | Should -BeTrue
        (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:2/v1'
        Remove-Item Env:INFERENCE_BASE_URL
    }

    It 'ends the only one there is' {
        $server = Start-TestService
        Disconnect-BatchService
        Stop-BatchServer
        Test-Alive $server.ProcessId | Should -BeFalse
    }

    It 'ends those piped in, and leaves a connection to elsewhere alone' {
        $made = 1..2 | ForEach-Object { Start-TestService }
        Connect-BatchService -BaseUri http://127.0.0.1:3/v1
        $made | Stop-BatchServer
        Get-BatchServer | Should -BeNullOrEmpty
        (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:3/v1'
        Disconnect-BatchService
    }

    It 'is content with a service that is gone already' {
        $server = Start-TestService
        $server | Stop-BatchServer
        { $server | Stop-BatchServer -ErrorAction Stop } | Should -Not -Throw
    }

    It 'asks which, where several run and none is the session''s: ServerNotFound' {
        $made = 1..2 | ForEach-Object { Start-TestService }
        Disconnect-BatchService
        $problem = Get-ErrorOf { Stop-BatchServer }
        Get-ErrorId $problem | Should -Be 'ServerNotFound'
        $problem.CategoryInfo.Category | Should -Be 'ObjectNotFound'
        foreach ($server in $made) { Test-Alive $server.ProcessId | Should -BeTrue }
    }

    It 'says so where none runs: ServerNotFound' {
        Get-ErrorId (Get-ErrorOf { Stop-BatchServer }) | Should -Be 'ServerNotFound'
    }

    It 'ends nothing for an empty pipeline, nor with -WhatIf' {
        $server = Start-TestService
        @() | Stop-BatchServer
        $server | Stop-BatchServer -WhatIf
        Stop-BatchServer -WhatIf
        Test-Alive $server.ProcessId | Should -BeTrue
    }

    It 'lets it end in its own time: nothing is left locked' {
        $server = Start-TestService
        $server | Stop-BatchServer
        (Start-BatchServer -DataPath $server.DataPath).DataPath | Should -Be $server.DataPath
    }
}
