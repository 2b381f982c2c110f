BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Secret = 'sk-secret-4711-connect'
}

AfterAll { Stop-TestServices }

Describe 'Connect-BatchService' {
    AfterEach {
        Disconnect-BatchService
        Remove-Item Env:INFERENCE_API_KEY, Env:INFERENCE_BASE_URL, Env:GROQ_API_KEY -ErrorAction Ignore
    }

    Context 'what it sets' {
        It 'sets the default connection, and writes nothing' {
            Connect-BatchService -BaseUri http://127.0.0.1:1/v1 | Should -BeNullOrEmpty
            (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:1/v1'
        }

        It 'writes the connection with -PassThru' {
            $connection = Connect-BatchService Groq -ApiKey $Secret -PassThru
            $connection | Should -BeOfType ([InferenceBatch.Service.ServiceConnection])
            $connection.Provider | Should -Be 'Groq'
            $connection.BaseUri | Should -Be 'https://api.groq.com/openai/v1'
            $connection.HasApiKey | Should -BeTrue
        }

        It 'accepts an existing connection' {
            $first = Connect-BatchService -BaseUri http://127.0.0.1:1/v1 -PassThru
            Disconnect-BatchService
            Connect-BatchService -Connection $first
            Get-BatchConnection | Should -Be $first
        }

        It 'knows the provider <_>' -ForEach 'InferenceNet', 'OpenAI', 'Groq', 'Together', 'DeepInfra', 'Doubleword', 'Nebius', 'Novita', 'ModelStudio', 'Local' {
            (Connect-BatchService $_ -ApiKey $Secret -PassThru).Provider | Should -BeExactly $_
        }

        It 'accepts AzureOpenAI with the address of the resource' {
            (Connect-BatchService AzureOpenAI -BaseUri https://res.openai.azure.com/openai/v1 -ApiKey $Secret -PassThru).Provider | Should -Be 'AzureOpenAI'
        }

        It 'recognizes a provider by its host' {
            (Connect-BatchService -BaseUri https://api.openai.com/v1 -ApiKey $Secret -PassThru).Provider | Should -Be 'OpenAI'
        }

        It 'uses the local service that was started last, from any shell' {
            $null = Start-TestService
            $last = Start-TestService
            Disconnect-BatchService
            "$(Get-ErrorOf { Get-BatchConnection })" | Should -BeLike '*A local service is running. To use it: Connect-BatchService Local'
            Connect-BatchService Local
            (Get-BatchConnection).BaseUri | Should -Be $last.Uri
            Get-BatchServer | Stop-BatchServer
        }

        It 'accepts a local service from the pipeline' {
            $server = Start-TestService
            Disconnect-BatchService
            $connection = Get-BatchServer | Connect-BatchService -PassThru
            $connection.BaseUri | Should -Be $server.Uri
            $connection.Provider | Should -Be 'Local'
            $server | Stop-BatchServer
        }

        It 'rejects <Case>, and does not show it' -ForEach @(
            @{ Case = 'a password in the address'; Given = @{ BaseUri = 'http://user:sk-secret-4711@127.0.0.1:1/v1' } }
            @{ Case = 'a key in the query'; Given = @{ BaseUri = 'http://127.0.0.1:1/v1?key=sk-secret-4711' } }
            @{ Case = 'a key with a line break within'; Given = @{ BaseUri = 'http://127.0.0.1:1/v1'; ApiKey = "sk-secret-`n4711" } }
        ) {
            $problem = Get-ErrorOf { Connect-BatchService @Given }
            Get-ErrorId $problem[0] | Should -Be 'InvalidValue'
            "$($problem[0])" | Should -Not -Match '4711'
            $problem[0] | Format-List * -Force | Out-String -Width 1000 | Should -Not -Match 'http://.*4711'
        }

        It 'treats an empty key as missing, and names the variable to set' {
            Get-ErrorId (Get-ErrorOf { Connect-BatchService InferenceNet -ApiKey $env:INFERENCE_API_KEY }) | Should -Be 'ApiKeyMissing'
            Get-ErrorId (Get-ErrorOf { Connect-BatchService InferenceNet -ApiKey '' }) | Should -Be 'ApiKeyMissing'
        }

        It 'reads the key of the provider''s own variable' {
            $env:GROQ_API_KEY = $Secret
            (Connect-BatchService Groq -PassThru).HasApiKey | Should -BeTrue
        }
    }

    Context 'what it sends' {
        BeforeAll { $script:Faults = [FaultServer]::new() }
        AfterAll { $Faults.Dispose() }
        BeforeEach {
            $Faults.Reset()
            $Faults.On('GET /v1/batches/', @(New-Answer (New-WireBatch 'b1')))
        }

        It 'sends no request' {
            Connect-BatchService -BaseUri $Faults.BaseUri -ApiKey $Secret
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'sends the key given as <Kind>' -ForEach @(
            @{ Kind = 'text'; Key = 'sk-secret-4711-connect' }
            @{ Kind = 'SecureString'; Key = [Net.NetworkCredential]::new('', 'sk-secret-4711-connect').SecurePassword }
            @{ Kind = 'text with a line break at the end, as in files'; Key = "sk-secret-4711-connect`n" }
        ) {
            Connect-BatchService -BaseUri $Faults.BaseUri -ApiKey $Key
            Get-Batch b1 | Out-Null
            $Faults.Calls[0].Headers['Authorization'] | Should -Be "Bearer $Secret"
        }

        It 'sends -Header with every call' {
            Connect-BatchService -BaseUri $Faults.BaseUri -ApiKey $Secret -Header @{ 'X-Team' = 'blue'; 'X-Number' = 7 }
            Get-Batch b1 | Out-Null
            $Faults.Calls[0].Headers['X-Team'] | Should -Be 'blue'
            $Faults.Calls[0].Headers['X-Number'] | Should -Be '7'
        }

        It 'keeps the headers if a call has its own key' {
            Connect-BatchService -BaseUri $Faults.BaseUri -ApiKey other -Header @{ 'X-Team' = 'blue' }
            Get-Batch b1 -ApiKey $Secret | Out-Null
            $Faults.Calls[0].Headers['Authorization'] | Should -Be "Bearer $Secret"
            $Faults.Calls[0].Headers['X-Team'] | Should -Be 'blue'
        }

        It 'sends the key in the header that AzureOpenAI expects' {
            Connect-BatchService AzureOpenAI -BaseUri $Faults.BaseUri -ApiKey $Secret
            Get-Batch b1 | Out-Null
            $Faults.Calls[0].Headers['api-key'] | Should -Be $Secret
            $Faults.Calls[0].Headers.ContainsKey('Authorization') | Should -BeFalse
        }
    }

    Context 'what it rejects' {
        It 'reports ApiKeyMissing with the variable, for a host that is not this machine' {
            $problem = Get-ErrorOf { Connect-BatchService Groq }
            Get-ErrorId $problem | Should -Be 'ApiKeyMissing'
            $problem.CategoryInfo.Category | Should -Be 'AuthenticationError'
            $problem.TargetObject | Should -Be 'Groq'
            "$problem" | Should -Match 'GROQ_API_KEY'
        }

        It 'ends the pipeline if the key is missing' {
            { Connect-BatchService OpenAI -ErrorAction SilentlyContinue } | Should -Throw -ErrorId 'ApiKeyMissing,*'
        }

        It 'reports an unknown provider, and lists the known ones' {
            $problem = Get-ErrorOf { Connect-BatchService Nowhere -ApiKey $Secret }
            Get-ErrorId $problem | Should -Be 'InvalidValue'
            $problem.TargetObject | Should -Be 'Nowhere'
            "$problem" | Should -Match 'InferenceNet.*OpenAI.*Local'
        }

        It 'reports an address given as the provider, and names -BaseUri' {
            $problem = Get-ErrorOf { Connect-BatchService https://host.example/v1 -ApiKey $Secret }
            Get-ErrorId $problem | Should -Be 'InvalidValue'
            "$problem" | Should -BeExactly "'https://host.example/v1' is an address, not a provider. Use -BaseUri https://host.example/v1"
        }

        It 'reports an address that is not valid: <_>' -ForEach 'ftp://host/v1', 'not/an/address', 'file:///etc/passwd' {
            $problem = Get-ErrorOf { Connect-BatchService -BaseUri $_ -ApiKey $Secret }
            Get-ErrorId $problem | Should -Be 'InvalidValue'
            $problem.TargetObject | Should -Be $_
        }

        It 'keeps the previous connection after an error' {
            Connect-BatchService -BaseUri http://127.0.0.1:1/v1
            Get-ErrorOf { Connect-BatchService Nowhere -ApiKey $Secret } | Should -Not -BeNullOrEmpty
            (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:1/v1'
        }
    }

    Context 'secrets' {
        It 'shows the key in no property and no text of the connection' {
            $connection = Connect-BatchService -BaseUri https://example.org/v1 -ApiKey $Secret -Header @{ 'X-Token' = "$Secret-2" } -PassThru
            $shown = ($connection | Format-List * -Force | Out-String -Width 500) + ($connection | Out-String) + "$connection" + (ConvertTo-Json $connection -Depth 5)
            $shown | Should -Not -Match $Secret
            $shown | Should -Match 'X-Token'
        }

        It 'completes providers, and does not treat one as a key' {
            $words = (TabExpansion2 'Connect-BatchService Inf' 24).CompletionMatches.CompletionText
            $words | Should -Contain 'InferenceNet'
        }
    }
}
