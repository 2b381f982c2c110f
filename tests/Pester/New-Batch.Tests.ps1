BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Server = Start-TestService
    $script:Faults = [FaultServer]::new()
    # Uses the fault server with the profile of another provider.
    function New-Connection([string] $Provider) {
        [InferenceBatch.Service.ServiceConnection]::new($Faults.BaseUri, [InferenceBatch.Service.ServiceProfile]::Find($Provider), $null, $null, $null)
    }
}

AfterAll {
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'New-Batch' {
    BeforeEach {
        $Faults.Reset()
        $Faults.On('POST /v1/batches', @(New-Answer (New-WireBatch 'b1' 'validating')))
    }

    Context 'binding' {
        It 'accepts the file from Send-BatchFile' {
            $batch = Send-BatchFile (New-InputFile 2) | New-Batch
            $batch | Should -BeOfType ([InferenceBatch.Model.Batch])
            $batch.Id | Should -Match '^batch_'
            $batch.InputFileId | Should -Match '^file-'
            $batch.Status | Should -Be 'Validating'
            $batch.Endpoint | Should -Be '/v1/chat/completions'
        }

        It 'accepts an ID, also by property name with its endpoint' {
            New-Batch file-1 -BaseUri $Faults.BaseUri | Out-Null
            [pscustomobject]@{ InputFileId = 'file-2'; Endpoint = '/v1/embeddings' } | New-Batch -BaseUri $Faults.BaseUri | Out-Null
            $sent = $Faults.Calls.Text | ConvertFrom-Json
            $sent.input_file_id | Should -Be 'file-1', 'file-2'
            $sent.endpoint | Should -Be '/v1/chat/completions', '/v1/embeddings'
            $sent[0].completion_window | Should -Be '24h'
        }

        It 'uses the endpoint of the file' {
            $file = 'a' | New-BatchRequest -Model m -Endpoint /v1/embeddings | Send-BatchFile
            ($file | New-Batch).Endpoint | Should -Be '/v1/embeddings'
        }

        It 'creates one batch for each file' {
            $files = 1..3 | ForEach-Object { Send-BatchFile (New-InputFile 1 "n$_.jsonl") }
            ($files | New-Batch).InputFileId | Should -Be $files.Id
        }

        It 'completes endpoints' {
            (TabExpansion2 'New-Batch file-1 -Endpoint /v1/e' 32).CompletionMatches.CompletionText | Should -Contain '/v1/embeddings'
        }

        It 'completes the windows of <Address>' -ForEach @{ Address = 'api.groq.com/openai/v1'; Windows = '24h', '7d' }, @{ Address = 'api.novita.ai/openai/v1'; Windows = @('48h') }, @{ Address = 'example.org/v1'; Windows = @('24h') } {
            foreach ($command in 'New-Batch file-1', 'Invoke-Batch') {
                $line = "$command -BaseUri https://$Address -CompletionWindow "
                (TabExpansion2 $line $line.Length).CompletionMatches.CompletionText | Should -Be $Windows
            }
        }
    }

    Context 'what it sends' {
        It 'sends metadata as text, the webhook, and the expiry of the output' {
            New-Batch file-1 -Metadata @{ night = 7; who = 'me' } -WebhookUrl https://example.org/hook?a=b -OutputExpiresAfterSec 86400 -BaseUri $Faults.BaseUri | Out-Null
            $sent = $Faults.Calls[0].Text | ConvertFrom-Json -AsHashtable
            $sent.metadata.night | Should -BeExactly '7'
            $sent.metadata.who | Should -Be 'me'
            $sent.webhook_url | Should -Be 'https://example.org/hook?a=b'
            $sent.output_expires_after.anchor | Should -Be 'created_at'
            $sent.output_expires_after.seconds | Should -Be 86400
        }

        It 'sends the window unchanged, by default that of the provider' {
            New-Batch file-1 -CompletionWindow 3d -BaseUri $Faults.BaseUri | Out-Null
            ($Faults.Calls[-1].Text | ConvertFrom-Json).completion_window | Should -Be '3d'
            New-Batch file-1 -Connection (New-Connection Novita) | Out-Null
            ($Faults.Calls[-1].Text | ConvertFrom-Json).completion_window | Should -Be '48h'
        }

        It 'waits until the file is processed if the provider requires it' {
            $Faults.On('GET /v1/files/file-1', @((New-Answer @{ id = 'file-1'; status = 'pending' }), (New-Answer @{ id = 'file-1'; status = 'processed' })))
            New-Batch file-1 -Connection (New-Connection AzureOpenAI) | Out-Null
            "$($Faults.Calls)" | Should -Be 'GET /v1/files/file-1 GET /v1/files/file-1 POST /v1/batches'
        }

        It 'retries if the service does not show a new file yet' {
            $Faults.On('POST /v1/files', @(New-Answer @{ id = 'file-new' }))
            $Faults.On('POST /v1/batches', @((New-Refusal 404), (New-Answer (New-WireBatch 'b1' 'validating'))))
            (Send-BatchFile (New-InputFile 1) -BaseUri $Faults.BaseUri | New-Batch -ErrorAction Stop).Id | Should -Be 'b1'
        }

        It 'sends no field that was not given' {
            New-Batch file-1 -BaseUri $Faults.BaseUri | Out-Null
            ($Faults.Calls[0].Text | ConvertFrom-Json -AsHashtable).Keys | Sort-Object | Should -Be 'completion_window', 'endpoint', 'input_file_id'
        }

        It 'returns the metadata' {
            (Send-BatchFile (New-InputFile 1) | New-Batch -Metadata @{ run = 'one' }).Metadata['run'] | Should -Be 'one'
        }
    }

    Context '-WhatIf and -Confirm' {
        It 'creates nothing with -WhatIf' {
            New-Batch file-1 -WhatIf -BaseUri $Faults.BaseUri | Should -BeNullOrEmpty
            $Faults.Calls | Should -BeNullOrEmpty
        }
    }

    Context 'errors' {
        It 'reports a webhook that is not https, before anything is sent' {
            $problem = Get-ErrorOf { New-Batch file-1 -WebhookUrl http://example.org/ -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'InvalidValue'
            $problem.TargetObject | Should -Be 'http://example.org/'
            $Faults.Calls | Should -BeNullOrEmpty
        }

        It 'reports a webhook on this machine that the local service must not call, and names the option that allows it' {
            $file = Send-BatchFile (New-InputFile 1)
            foreach ($address in 'http://127.0.0.1:9/hook', 'https://localhost/hook') {
                $problem = Get-ErrorOf { $file | New-Batch -WebhookUrl $address }
                Get-ErrorId $problem | Should -Be 'ServiceRejected'
                "$problem" | Should -Match 'Start-BatchServer -AllowInsecureWebhooks'
            }
        }

        It 'reports <Id> if the response for an unknown file is <Status>' -ForEach @(
            @{ Status = 404; Id = 'FileNotFound' }
            @{ Status = 400; Id = 'ServiceRejected' }
        ) {
            $Faults.On('POST /v1/batches', @(New-Refusal $Status "No file found with id 'file-none'."))
            $problem = Get-ErrorOf { New-Batch file-none -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be $Id
            $problem.TargetObject | Should -Be 'file-none'
        }

        It 'reports ServiceRejected with the service''s message for an unknown window' {
            $file = Send-BatchFile (New-InputFile 1)
            $problem = Get-ErrorOf { $file | New-Batch -CompletionWindow 48h }
            Get-ErrorId $problem | Should -Be 'ServiceRejected'
            "$problem" | Should -Match 'completion_window|24h'
            $problem.TargetObject | Should -Be $file.Id
        }

        It 'reports ServiceRejected for too much metadata' {
            $many = @{}
            1..17 | ForEach-Object { $many["k$_"] = 'v' }
            Get-ErrorId (Get-ErrorOf { Send-BatchFile (New-InputFile 1) | New-Batch -Metadata $many }) | Should -Be 'ServiceRejected'
        }

        It 'reports <Status> as <Id>' -ForEach @(
            @{ Status = 401; Id = 'Unauthorized'; Calls = 1 }
            @{ Status = 403; Id = 'PermissionDenied'; Calls = 1 }
            @{ Status = 400; Id = 'ServiceRejected'; Calls = 1 }
            @{ Status = 429; Id = 'RateLimited'; Calls = 5 }
        ) {
            $Faults.On('POST /v1/batches', @(New-Refusal $Status))
            $problem = Get-ErrorOf { New-Batch file-1 -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be $Id
            $problem.TargetObject | Should -Be 'file-1'
            $Faults.Calls.Count | Should -Be $Calls
        }
    }

    Context 'a lost response' {
        It 'looks for the batch before it creates another, and finds it' {
            $Faults.On('POST /v1/batches', @(New-Answer -Drop))
            $made = New-WireBatch 'b7' 'in_progress' @{ input_file_id = 'file-1'; created_at = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds() }
            $Faults.On('GET /v1/batches', @(New-Answer @{ object = 'list'; data = @($made); has_more = $false }))
            (New-Batch file-1 -BaseUri $Faults.BaseUri).Id | Should -Be 'b7'
            ($Faults.Calls | Where-Object Method -EQ POST).Count | Should -Be 1
        }

        It 'creates it again if it does not exist' {
            $Faults.On('POST /v1/batches', @((New-Refusal 500), (New-Answer (New-WireBatch 'b8' 'validating'))))
            $old = New-WireBatch 'b1' 'completed' @{ input_file_id = 'file-1' }
            $Faults.On('GET /v1/batches', @(New-Answer @{ object = 'list'; data = @($old); has_more = $false }))
            (New-Batch file-1 -BaseUri $Faults.BaseUri).Id | Should -Be 'b8'
            ($Faults.Calls | Where-Object Method -EQ POST).Count | Should -Be 2
        }

        It 'creates no second batch if it cannot look: ServiceUnavailable, which says so' {
            $Faults.On('POST /v1/batches', @(New-Refusal 502))
            $Faults.On('GET /v1/batches', @(New-Refusal 403))
            $problem = Get-ErrorOf { New-Batch file-1 -BaseUri $Faults.BaseUri }
            Get-ErrorId $problem | Should -Be 'ServiceUnavailable'
            "$problem" | Should -Match 'unknown'
            ($Faults.Calls | Where-Object Method -EQ POST).Count | Should -Be 1
        }
    }
}
