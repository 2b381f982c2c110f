BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Here = [FaultServer]::new()
    $script:There = [FaultServer]::new()
    foreach ($server in $Here, $There) { $server.On('GET /v1/batches/', @(New-Answer (New-WireBatch 'b1' 'in_progress'))) }
    function Get-KeySent($Server) { $Server.Calls[-1].Headers['Authorization'] }
}

AfterAll {
    $Here.Dispose()
    $There.Dispose()
    Stop-TestServices
}

Describe 'Get-BatchConnection' {
    BeforeEach {
        Disconnect-BatchService
        Remove-Item Env:INFERENCE_API_KEY, Env:INFERENCE_BASE_URL -ErrorAction Ignore
    }
    AfterEach { Remove-Item Env:INFERENCE_API_KEY, Env:INFERENCE_BASE_URL -ErrorAction Ignore }

    Context 'the order of precedence' {
        It 'uses the Inference.net profile by default' {
            $env:INFERENCE_API_KEY = 'k'
            $connection = Get-BatchConnection
            $connection.BaseUri | Should -Be 'https://api.inference.net/v1'
            $connection.Provider | Should -Be 'InferenceNet'
        }

        It 'prefers the environment to the profile' {
            $env:INFERENCE_BASE_URL = 'http://127.0.0.1:1/v1'
            $connection = Get-BatchConnection
            $connection.BaseUri | Should -Be 'http://127.0.0.1:1/v1'
            $connection.Provider | Should -Be 'Generic'
        }

        It 'prefers the session to the environment' {
            $env:INFERENCE_BASE_URL = 'http://127.0.0.1:1/v1'
            Connect-BatchService -BaseUri http://127.0.0.1:2/v1
            (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:2/v1'
        }

        It 'prefers -BaseUri to the session' {
            Connect-BatchService -BaseUri http://127.0.0.1:2/v1
            (Get-BatchConnection -BaseUri http://127.0.0.1:3/v1).BaseUri | Should -Be 'http://127.0.0.1:3/v1'
        }

        It 'prefers -Connection to all others' {
            $mine = Connect-BatchService -BaseUri http://127.0.0.1:4/v1 -PassThru
            Connect-BatchService -BaseUri http://127.0.0.1:2/v1
            (Get-BatchConnection -Connection $mine -BaseUri http://127.0.0.1:3/v1).BaseUri | Should -Be 'http://127.0.0.1:4/v1'
        }

        It 'reads the environment at each call' {
            $env:INFERENCE_BASE_URL = 'http://127.0.0.1:1/v1'
            (Get-BatchConnection).BaseUri.Port | Should -Be 1
            $env:INFERENCE_BASE_URL = 'http://127.0.0.1:5/v1'
            (Get-BatchConnection).BaseUri.Port | Should -Be 5
        }

        It 'names the variable with an address that is not valid' {
            $env:INFERENCE_BASE_URL = 'nowhere at all'
            $problem = Get-ErrorOf { Get-BatchConnection }
            Get-ErrorId $problem | Should -Be 'InvalidValue'
            "$problem" | Should -Match 'INFERENCE_BASE_URL'
        }
    }

    Context 'which key is sent' {
        It 'sends the key of the session to its address' {
            Connect-BatchService -BaseUri $Here.BaseUri -ApiKey session-key
            Get-Batch b1 | Out-Null
            Get-KeySent $Here | Should -Be 'Bearer session-key'
        }

        It 'sends the key of the session if -BaseUri is the same address<What>' -ForEach @(
            @{ What = ''; Suffix = '' }
            @{ What = ' with a trailing slash'; Suffix = '/' }
        ) {
            Connect-BatchService -BaseUri $Here.BaseUri -ApiKey session-key
            Get-Batch b1 -BaseUri "$($Here.BaseUri)$Suffix" | Out-Null
            Get-KeySent $Here | Should -Be 'Bearer session-key'
        }

        It 'never sends the key of the session to another address' {
            Connect-BatchService -BaseUri $Here.BaseUri -ApiKey session-key -Header @{ 'X-Token' = 'session-token' }
            Get-Batch b1 -BaseUri $There.BaseUri | Out-Null
            Get-KeySent $There | Should -BeNullOrEmpty
            $There.Calls[-1].Headers.Keys | Should -Not -Contain 'X-Token'
        }

        It 'sends the key of the environment to another address' {
            $env:INFERENCE_API_KEY = 'environment-key'
            Connect-BatchService -BaseUri $Here.BaseUri -ApiKey session-key
            Get-Batch b1 -BaseUri $There.BaseUri | Out-Null
            Get-KeySent $There | Should -Be 'Bearer environment-key'
        }

        It 'prefers -ApiKey to all others' {
            $env:INFERENCE_API_KEY = 'environment-key'
            Connect-BatchService -BaseUri $Here.BaseUri -ApiKey session-key
            Get-Batch b1 -ApiKey given-key | Out-Null
            Get-KeySent $Here | Should -Be 'Bearer given-key'
        }

        It 'sends no key to the host of a redirect' {
            $Here.On('GET /v1/batches/moved', @(New-Answer -Status 307 -Header @{ Location = "$($There.BaseUri)/batches/b1" }))
            Connect-BatchService -BaseUri $Here.BaseUri -ApiKey session-key -Header @{ 'X-Token' = 'session-token' }
            Get-Batch moved | Out-Null
            Get-KeySent $Here | Should -Be 'Bearer session-key'
            Get-KeySent $There | Should -BeNullOrEmpty
            $There.Calls[-1].Headers.Keys | Should -Not -Contain 'X-Token'
        }
    }

    Context 'objects remember their service' {
        It 'requests a batch from its service' {
            Connect-BatchService -BaseUri $Here.BaseUri
            $batch = Get-Batch b1 -BaseUri $There.BaseUri -ApiKey there-key
            $before = $Here.Calls.Count
            $There.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1')))
            $batch | Wait-Batch | Should -Not -BeNullOrEmpty
            Get-KeySent $There | Should -Be 'Bearer there-key'
            $Here.Calls.Count | Should -Be $before
            $There.On('GET /v1/batches/', @(New-Answer (New-WireBatch 'b1' 'in_progress')))
        }
    }

    Context 'a missing key' {
        It 'ends every call with ApiKeyMissing before anything is sent: <Name>' -ForEach @(
            @{ Name = 'Get-BatchConnection'; Call = { Get-BatchConnection } }
            @{ Name = 'Get-Batch'; Call = { Get-Batch } }
            @{ Name = 'Get-Batch -Id'; Call = { Get-Batch b1 } }
            @{ Name = 'Get-BatchFile'; Call = { Get-BatchFile } }
            @{ Name = 'New-Batch'; Call = { New-Batch file-1 } }
            @{ Name = 'Wait-Batch'; Call = { Wait-Batch b1 } }
            @{ Name = 'Stop-Batch'; Call = { Stop-Batch b1 } }
            @{ Name = 'Get-BatchResult'; Call = { Get-BatchResult -Id b1 } }
            @{ Name = 'Save-BatchFile'; Call = { Save-BatchFile file-1 $TestDrive } }
            @{ Name = 'Remove-BatchFile'; Call = { Remove-BatchFile file-1 } }
            @{ Name = 'Send-BatchFile'; Call = { 'a' | New-BatchRequest -Model m | Send-BatchFile } }
            @{ Name = 'Invoke-Batch'; Call = { 'a' | Invoke-Batch -Model m } }
        ) {
            $problem = try { & $Call 2>&1 } catch { $_ }
            Get-ErrorId $problem | Should -Be 'ApiKeyMissing'
            "$problem" | Should -Match 'INFERENCE_API_KEY.*Start-BatchServer'
            Get-Leftover | Should -BeNullOrEmpty
        }
    }
}
