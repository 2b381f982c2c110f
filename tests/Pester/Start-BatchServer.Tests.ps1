BeforeAll {
    . $PSScriptRoot/Service.ps1
    function New-DataPath { Join-Path $TestDrive "d-$([guid]::NewGuid().ToString('N').Substring(0, 8))" }
    function Test-Alive([int] $Id) { [bool](Get-Process -Id $Id -ErrorAction Ignore) }
}

AfterAll { Stop-TestServices }

Describe 'Start-BatchServer' {
    AfterEach { Get-BatchServer | Stop-BatchServer }

    Context 'what it starts' {
        It 'starts a service on a free loopback port, ready for calls' {
            $server = Start-BatchServer -DataPath (New-DataPath)
            $server | Should -BeOfType ([InferenceBatch.LocalServer.BatchServer])
            $server.Uri | Should -Match '^http://127\.0\.0\.1:\d+/v1$'
            $server.Upstream | Should -Be 'echo'
            Test-Alive $server.ProcessId | Should -BeTrue
            (Invoke-RestMethod "$($server.Uri)/models").data[0].id | Should -Be 'echo'
        }

        It 'makes it the default connection of the session' {
            $server = Start-BatchServer -DataPath (New-DataPath)
            $connection = Get-BatchConnection
            $connection.BaseUri | Should -Be $server.Uri
            $connection.Provider | Should -Be 'Local'
        }

        It 'stores its data in -DataPath, also a relative path or a PSDrive' {
            $server = Start-BatchServer -DataPath TestDrive:/driven/deep
            $server.DataPath | Should -Be (Join-Path $TestDrive driven/deep)
            Join-Path $TestDrive driven/deep | Should -Exist
        }

        It 'stores its data in the user''s state folder by default' -Skip:$IsWindows {
            (Start-BatchServer).DataPath | Should -Be (Join-Path $env:XDG_STATE_HOME inference-batch)
        }

        It 'restricts its data folder to the user, also an existing one' -Skip:$IsWindows {
            $data = New-DataPath
            $null = New-Item -ItemType Directory $data
            chmod 755 $data
            $null = Start-BatchServer -DataPath $data
            (Get-Item $data).UnixMode | Should -Be 'drwx------'
        }

        It 'listens on -Port' {
            $socket = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, 0)
            $socket.Start()
            $port = $socket.LocalEndpoint.Port
            $socket.Stop()
            (Start-BatchServer -Port $port -DataPath (New-DataPath)).Uri.Port | Should -Be $port
        }

        It 'uses the upstream it is given' {
            $upstream = Start-BatchServer -DataPath (New-DataPath)
            $faults = [FaultServer]::new()
            try {
                $faults.On('POST /v1/chat/completions', @(New-Answer ((New-WireLine 'x' 'from afar' | ConvertFrom-Json).response.body)))
                $server = Start-BatchServer $faults.BaseUri -UpstreamApiKey 'sk-secret-4711-upstream' -DataPath (New-DataPath)
                ('x' | New-BatchRequest -Model m | Send-BatchFile | New-Batch | Get-BatchResult -Wait).Text | Should -Be 'from afar'
                $faults.Calls[0].Headers['Authorization'] | Should -Be 'Bearer sk-secret-4711-upstream'
                $server | Format-List * -Force | Out-String -Width 500 | Should -Not -Match 'sk-secret-4711'
                Get-ChildItem $env:XDG_STATE_HOME -Recurse -File | Get-Content -Raw | Should -Not -Match 'sk-secret-4711'
                if ($IsLinux) { (Get-Content "/proc/$($server.ProcessId)/cmdline" -Raw) | Should -Not -Match 'sk-secret-4711' }
            }
            finally { $faults.Dispose() }
        }

        It 'resumes its batches after a restart' {
            $data = New-DataPath
            $server = Start-BatchServer 'echo?latency=2s' -DataPath $data
            $batch = 'a', 'b' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch
            $server | Stop-BatchServer
            Start-BatchServer echo -DataPath $data | Out-Null
            (Wait-Batch $batch.Id -TimeoutSec 60).Status | Should -Be 'Completed'
            (Get-BatchResult $batch.Id).Count | Should -Be 2
        }

        It 'keeps its port, so that clients find their batches at the same address' {
            $data = New-DataPath
            $server = Start-BatchServer -DataPath $data
            $batch = 'a' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch | Wait-Batch
            $server | Stop-BatchServer
            (Start-BatchServer -DataPath $data).Uri | Should -Be $server.Uri
            ($batch | Get-BatchResult).Text | Should -Be 'a'
        }

        It 'uses the documented port if it is free, otherwise another' {
            $free = try { $probe = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, 8421); $probe.Start(); $probe.Stop(); $true } catch { $false }
            $first = Start-BatchServer -DataPath (New-DataPath)
            if ($free) { $first.Uri.Port | Should -Be 8421 } else { $first.Uri.Port | Should -Not -Be 8421 }
            $second = Start-BatchServer -DataPath (New-DataPath)
            $second.Uri.Port | Should -Not -BeIn 8421, $first.Uri.Port
            # Its last port takes precedence, also if the documented one is free again.
            $data = $second.DataPath
            $first, $second | Stop-BatchServer
            (Start-BatchServer -DataPath $data).Uri.Port | Should -Be $second.Uri.Port
        }

        It 'uses another port if its own is no longer free' {
            $data = New-DataPath
            $server = Start-BatchServer -DataPath $data
            $server | Stop-BatchServer
            $socket = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, $server.Uri.Port)
            $socket.Start()
            try { (Start-BatchServer -DataPath $data).Uri.Port | Should -Not -Be $server.Uri.Port }
            finally { $socket.Stop() }
        }

        It 'continues after the shell that started it has ended' {
            $run = Invoke-ChildShell "(Start-BatchServer -DataPath '$(New-DataPath)').ProcessId"
            $server = Get-BatchServer
            $server.ProcessId | Should -Be ([int]$run.Output.Trim())
            Connect-BatchService -BaseUri $server.Uri
            Get-Batch | Should -BeNullOrEmpty
        }

        It 'ignores signals of the terminal: <_>' -Skip:$IsWindows -ForEach 'INT', 'HUP', 'QUIT' {
            $server = Start-BatchServer -DataPath (New-DataPath)
            kill -s $_ $server.ProcessId
            (Invoke-RestMethod "$($server.Uri)/models").data[0].id | Should -Be 'echo'
            Test-Alive $server.ProcessId | Should -BeTrue
        }
    }

    Context 'options' {
        It 'are passed on' -Skip:(-not $IsLinux) {
            $server = Start-BatchServer -DataPath (New-DataPath) -Concurrency 3 -MaxAttempts 2 -RequestTimeoutSec 1.5 -CompletionWindow 2h -AllowInsecureWebhooks -ArgumentList '--log-level', 'debug'
            $line = (Get-Content "/proc/$($server.ProcessId)/cmdline" -Raw) -replace "`0", ' '
            foreach ($option in '--concurrency 3', '--max-attempts 2', '--request-timeout 1.5', '--completion-window 2h', '--allow-insecure-webhooks', '--log-level debug') {
                $line | Should -Match ([regex]::Escape($option))
            }
            $batch = 'a' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch
            ($batch.ExpiresAt - $batch.CreatedAt).TotalHours | Should -Be 2
        }

        It 'reports an unknown option: ServerStartFailed with its name' {
            $problem = Get-ErrorOf { Start-BatchServer -DataPath (New-DataPath) -ArgumentList '--bogus' }
            Get-ErrorId $problem | Should -Be 'ServerStartFailed'
            "$problem" | Should -Match '--bogus'
        }

        It 'reports a time that is not valid, with the service''s message' {
            $problem = Get-ErrorOf { Start-BatchServer -DataPath (New-DataPath) -RequestTimeout 0 -CompletionWindow soon }
            "$problem" | Should -Match "(?<!-)-RequestTimeout: '0'"
            "$problem" | Should -Match "(?<!-)-CompletionWindow: 'soon'"
        }

        It 'rejects an infinite time, before anything is created: <_>' -ForEach ([double]::MaxValue), ([double]::PositiveInfinity), ([timespan]::MaxValue), ([double]::NaN), -1 {
            $data = New-DataPath
            $problem = Get-ErrorOf { Start-BatchServer -DataPath $data -RequestTimeout $_ }
            Get-ErrorId $problem | Should -BeIn 'ParameterArgumentTransformationError', 'ParameterArgumentValidationError'
            $data | Should -Not -Exist
        }

        It 'reports an infinite completion window, with the service''s message' {
            "$(Get-ErrorOf { Start-BatchServer -DataPath (New-DataPath) -CompletionWindow "$('9' * 400)d" })" | Should -Match "(?<!-)-CompletionWindow: '9+d' is not a valid duration"
        }

        It 'requires the key from callers, sends it from the session, and stores it nowhere' {
            $server = Start-BatchServer -DataPath (New-DataPath) -ApiKey 'sk-secret-4712-callers'
            Get-Batch | Should -BeNullOrEmpty
            (Invoke-WebRequest "$($server.Uri)/batches" -SkipHttpErrorCheck).StatusCode | Should -Be 401
            Disconnect-BatchService
            Connect-BatchService Local
            Get-ErrorId (Get-ErrorOf { Get-Batch }) | Should -Be 'Unauthorized'
            Connect-BatchService Local -ApiKey 'sk-secret-4712-callers'
            Get-ErrorOf { Get-Batch } | Should -BeNullOrEmpty
            $server | Connect-BatchService -ApiKey 'sk-secret-4712-callers'
            Get-ErrorOf { Get-Batch } | Should -BeNullOrEmpty
            Get-ChildItem $env:XDG_STATE_HOME, $server.DataPath -Recurse -File -Exclude lock | Get-Content -Raw | Should -Not -Match 'sk-secret-4712'
            if ($IsLinux) { (Get-Content "/proc/$($server.ProcessId)/cmdline" -Raw) | Should -Not -Match 'sk-secret-4712' }
        }
    }

    Context '-WhatIf' {
        It 'starts and creates nothing' {
            $data = New-DataPath
            Start-BatchServer -DataPath $data -WhatIf | Should -BeNullOrEmpty
            Get-BatchServer | Should -BeNullOrEmpty
            $data | Should -Not -Exist
        }
    }

    Context 'errors' {
        It 'reports ServerAlreadyRunning with the first service, for the same data folder' {
            $data = New-DataPath
            $first = Start-BatchServer -DataPath $data
            $problem = Get-ErrorOf { Start-BatchServer -DataPath "$data/" }
            Get-ErrorId $problem | Should -Be 'ServerAlreadyRunning'
            $problem.CategoryInfo.Category | Should -Be 'ResourceExists'
            $problem.TargetObject | Should -Be $first
            "$problem" | Should -Match ([regex]::Escape($first.Uri))
            "$problem" | Should -Match $first.ProcessId
            @(Get-BatchServer).Count | Should -Be 1
        }

        It 'connects the session to the first service, so that no call reaches a service that bills' {
            $data = New-DataPath
            $first = Start-BatchServer -DataPath $data
            Disconnect-BatchService
            Start-BatchServer -DataPath $data -ErrorAction SilentlyContinue | Should -Be $first
            (Get-BatchConnection).BaseUri | Should -Be $first.Uri
        }

        It 'reports a service of another user on the same data folder, with the service''s message' {
            $data = New-DataPath
            $first = Start-BatchServer -DataPath $data
            $old = $env:XDG_STATE_HOME
            $env:XDG_STATE_HOME = Join-Path $TestDrive elsewhere
            try {
                $problem = Get-ErrorOf { Start-BatchServer -DataPath $data }
                Get-ErrorId $problem | Should -BeIn 'ServerStartFailed', 'ServerAlreadyRunning'
                "$problem" | Should -Match ([regex]::Escape($data))
            }
            finally { $env:XDG_STATE_HOME = $old }
        }

        It 'reports ServerStartFailed with the port, if it is in use, and leaves no data folder locked' {
            $data = New-DataPath
            $socket = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, 0)
            $socket.Start()
            try {
                $port = $socket.LocalEndpoint.Port
                $problem = Get-ErrorOf { Start-BatchServer -Port $port -DataPath $data }
                Get-ErrorId $problem | Should -Be 'ServerStartFailed'
                $problem.CategoryInfo.Category | Should -Be 'OpenError'
                "$problem" | Should -Match $port
                "$problem" | Should -Not -Match '   at ' -Because 'a person reads it'
                $problem.TargetObject | Should -Be $data
                "$problem" | Should -Match ([regex]::Escape("The end of '$(Join-Path $data server.log)'"))
                "$problem" | Should -Match 'Starting inference-batch \d+\.\d+\.\d+, process \d+'
                # Shows only lines written since this start.
                ([regex]::Matches((Get-ErrorOf { Start-BatchServer -Port $port -DataPath $data }), 'Starting inference-batch ')).Count | Should -Be 1
            }
            finally { $socket.Stop() }
            Get-BatchServer | Should -BeNullOrEmpty
            { Start-BatchServer -DataPath $data } | Should -Not -Throw
        }

        It 'warns about an upstream that does not respond, because batches wait for it' {
            $server = Start-BatchServer http://127.0.0.1:1/v1 -DataPath (New-DataPath) -WarningVariable warnings -WarningAction SilentlyContinue
            Test-Alive $server.ProcessId | Should -BeTrue
            $warnings | Should -HaveCount 1
            "$warnings" | Should -BeLike 'The service is running, but batches may have to wait (upstream http://127.0.0.1:1/v1): The upstream is unavailable: The connection to the upstream failed*'
            $null = Start-BatchServer -DataPath (New-DataPath) -WarningVariable warnings
            $warnings | Should -BeNullOrEmpty
        }

        It 'rotates a large log, and keeps the last one' {
            $data = New-DataPath
            $null = New-Item -ItemType Directory $data
            $log = Join-Path $data server.log
            [IO.File]::WriteAllBytes($log, [byte[]]::new(10MB + 1))
            $null = Start-BatchServer -DataPath $data
            (Get-Item $log).Length | Should -BeLessThan 10kb
            (Get-Item "$log.1").Length | Should -Be (10MB + 1)
        }

        It 'reports an upstream that is not valid: ServerStartFailed, in one line' {
            $problem = Get-ErrorOf { Start-BatchServer 'no upstream' -DataPath (New-DataPath) }
            Get-ErrorId $problem | Should -Be 'ServerStartFailed'
            "$problem" | Should -Match 'no upstream'
            Get-BatchServer | Should -BeNullOrEmpty
        }

        It 'reports a data path that is a file: ServerStartFailed' {
            $file = Join-Path $TestDrive notafolder
            Set-Content $file 'x'
            $problem = Get-ErrorOf { Start-BatchServer -DataPath $file }
            Get-ErrorId $problem | Should -Be 'ServerStartFailed'
            $problem.TargetObject | Should -Be $file
            "$problem" | Should -Not -Match '   at '
        }

        It 'keeps the connection of the session after a failed start' {
            Connect-BatchService -BaseUri http://127.0.0.1:9/v1
            Get-ErrorOf { Start-BatchServer 'no upstream' -DataPath (New-DataPath) } | Should -Not -BeNullOrEmpty
            (Get-BatchConnection).BaseUri | Should -Be 'http://127.0.0.1:9/v1'
        }
    }
}
