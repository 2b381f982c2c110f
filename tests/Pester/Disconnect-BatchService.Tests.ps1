BeforeAll { . $PSScriptRoot/Service.ps1 }

AfterAll { Stop-TestServices }

Describe 'Disconnect-BatchService' {
    It 'forgets the default: calls go where the environment says again' {
        Connect-BatchService -BaseUri http://127.0.0.1:1/v1
        Disconnect-BatchService | Should -BeNullOrEmpty
        $env:INFERENCE_BASE_URL = 'http://127.0.0.1:2/v1'
        (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:2/v1'
        Remove-Item Env:INFERENCE_BASE_URL
    }

    It 'is content where there is nothing to forget' {
        Disconnect-BatchService
        { Disconnect-BatchService -ErrorAction Stop } | Should -Not -Throw
    }

    It 'leaves the local service running' {
        $server = Start-TestService
        Disconnect-BatchService
        (Get-BatchServer).ProcessId | Should -Be $server.ProcessId
        # Here, for what a block leaves in TestDrive, this server's record too, goes with the block.
        $server | Stop-BatchServer
    }
}
