BeforeAll { . $PSScriptRoot/Service.ps1 }

AfterAll { Stop-TestServices }

Describe 'Disconnect-BatchService' {
    It 'removes the default, so that the environment applies again' {
        Connect-BatchService -BaseUri http://127.0.0.1:1/v1
        Disconnect-BatchService | Should -BeNullOrEmpty
        $env:INFERENCE_BASE_URL = 'http://127.0.0.1:2/v1'
        (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:2/v1'
        Remove-Item Env:INFERENCE_BASE_URL
    }

    It 'does nothing without a default connection' {
        Disconnect-BatchService
        { Disconnect-BatchService -ErrorAction Stop } | Should -Not -Throw
    }

    It 'leaves the local service running' {
        $server = Start-TestService
        Disconnect-BatchService
        (Get-BatchServer).ProcessId | Should -Be $server.ProcessId
        # Started here, because Pester deletes what a block leaves in TestDrive, including the record of the server, with the block.
        $server | Stop-BatchServer
    }
}
