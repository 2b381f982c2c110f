# Tests calls with proxy variables in the environment. .NET reads them once in a process, so each case has its
# own PowerShell. The proxy is a server on a socket that records its requests.

BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Proxy = [FaultServer]::new()
    $script:Service = [FaultServer]::new()
    $script:ProxyUri = "http://$($Proxy.BaseUri.Authority)"
    $script:Port = $Service.BaseUri.Port

    # Runs a script without any proxy variables except the given ones.
    function Invoke-Behind([hashtable] $Environment, [string] $Script) {
        $all = @{}
        foreach ($name in 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY') { $all[$name] = $null; $all[$name.ToLowerInvariant()] = $null }
        foreach ($name in $Environment.Keys) { $all[$name] = $Environment[$name] }
        $result = Invoke-ChildShell $Script $all
        $result.Error | Should -BeNullOrEmpty
        $result.Output.Trim()
    }
}

AfterAll {
    $Proxy.Dispose()
    $Service.Dispose()
    Stop-TestServices
}

Describe 'A proxy of the environment' {
    BeforeEach {
        foreach ($server in $Proxy, $Service) { $server.Reset() }
        $Service.On('GET /v1/batches/b1', @(New-Answer (New-WireBatch 'b1')))
        $Proxy.On('GET http://', @(New-Answer (New-WireBatch 'b1')))
    }

    It 'is not used for a loopback address: <_>' -ForEach 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy', 'HTTPS_PROXY' {
        # 127.0.0.2 and ::1 have no listener, so the command must fail instead of using the proxy.
        Invoke-Behind @{ $_ = $ProxyUri } @"
foreach (`$one in '127.0.0.1', 'localhost', 'LOCALHOST', 'localhost.', 'a.localhost', '127.0.0.2', '127.1', '0.0.0.0', '[::1]', '[::ffff:127.0.0.1]') {
    Wait-Batch b1 -Timeout 0 -BaseUri "http://`${one}:$Port/v1" -ErrorAction SilentlyContinue | Out-Null
}
"@
        $Proxy.Calls | Should -BeNullOrEmpty
        $Service.Calls.Count | Should -BeGreaterOrEqual 4
        $Service.Calls | ForEach-Object { "$_" | Should -Be 'GET /v1/batches/b1' }
    }

    It 'is used for other addresses: <Variable>' -ForEach @(
        @{ Variable = 'HTTP_PROXY' }
        @{ Variable = 'http_proxy' }
        @{ Variable = 'ALL_PROXY' }
    ) {
        Invoke-Behind @{ $Variable = $ProxyUri } '(Get-Batch b1 -BaseUri http://service.invalid/v1 -ApiKey k).Id' | Should -Be 'b1'
        "$($Proxy.Calls)" | Should -Be 'GET http://service.invalid/v1/batches/b1'
    }

    It 'is not used for a host in NO_PROXY, but for all others: <_>' -ForEach 'NO_PROXY', 'no_proxy' {
        Invoke-Behind @{ HTTP_PROXY = $ProxyUri; $_ = 'service.invalid,.other.invalid' } @'
foreach ($host1 in 'service.invalid', 'a.other.invalid', 'asked.invalid') {
    Wait-Batch b1 -Timeout 0 -BaseUri "http://$host1/v1" -ApiKey k -ErrorAction SilentlyContinue | Out-Null
}
'@
        "$($Proxy.Calls)" | Should -Be 'GET http://asked.invalid/v1/batches/b1'
    }

    It 'is not used for the loopback address that a remote service redirects to' {
        $Proxy.On('GET http://service.invalid/', @(New-Answer -Status 307 -Header @{ Location = "http://127.0.0.1:$Port/v1/batches/b1" }))
        Invoke-Behind @{ HTTP_PROXY = $ProxyUri } '(Get-Batch b1 -BaseUri http://service.invalid/v1 -ApiKey k).Id' | Should -Be 'b1'
        $Proxy.Calls.Count | Should -Be 1
        $Service.Calls.Count | Should -Be 1
    }

    It 'is used for the remote address that a service of this machine redirects to' {
        $Service.On('GET /v1/batches/b1', @(New-Answer -Status 307 -Header @{ Location = 'http://service.invalid/v1/batches/b1' }))
        Invoke-Behind @{ HTTP_PROXY = $ProxyUri } "(Get-Batch b1 -BaseUri http://127.0.0.1:$Port/v1 -ApiKey secret-4711).Id" | Should -Be 'b1'
        "$($Proxy.Calls)" | Should -Be 'GET http://service.invalid/v1/batches/b1'
        $Proxy.Calls[0].Headers.Keys | Should -Not -Contain 'Authorization'
    }

    It 'gets no request of a run with the local service: no prompt, no result, no completion' {
        $model = [FaultServer]::new()
        try {
            $model.On('POST /v1/chat/completions', @(New-Answer ((New-WireLine 'x' 'from afar' | ConvertFrom-Json).response.body)))
            $model.On('GET /v1/models', @(New-Answer @{ object = 'list'; data = @(@{ id = 'm'; object = 'model'; created = 1; owned_by = 'me' }) }))
            $data = Join-Path $TestDrive proxied
            Invoke-Behind @{ HTTP_PROXY = $ProxyUri; HTTPS_PROXY = $ProxyUri; ALL_PROXY = $ProxyUri } @"
`$server = Start-BatchServer http://localhost:$($model.BaseUri.Port)/v1 -DataPath '$data' -WarningAction Stop
try {
    `$line = 'Invoke-Batch -Model '
    `$words = (TabExpansion2 `$line `$line.Length).CompletionMatches.CompletionText
    ('a prompt' | Invoke-Batch -Model m -ErrorAction Stop).Text + '|' + (`$words -contains 'm')
}
finally { `$server | Stop-BatchServer }
"@ | Should -Be 'from afar|True'
            $Proxy.Calls | Should -BeNullOrEmpty
        }
        finally { $model.Dispose() }
    }
}
