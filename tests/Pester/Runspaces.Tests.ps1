# The default connection belongs to a runspace. A runspace that never connected uses that of its parent. Tests real runspaces of every kind.

BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:A = [FaultServer]::new()
    $script:B = [FaultServer]::new()
    function Get-KeySent($Server) { @($Server.Calls | ForEach-Object { $_.Headers['Authorization'] } | Sort-Object -Unique) }
    # A child imports the module, then runs a script.
    function Get-Body([string] $Script) { [scriptblock]::Create("Import-Module '$ModulePath'; `$ProgressPreference = 'SilentlyContinue'; $Script") }
}

AfterAll {
    $A.Dispose()
    $B.Dispose()
    Stop-TestServices
}

Describe 'The default connection' {
    BeforeEach {
        foreach ($server in $A, $B) {
            $server.Reset()
            $server.On('GET /v1/batches/', @(New-Answer (New-WireBatch 'b1')))
        }
        Disconnect-BatchService
        Remove-Item Env:INFERENCE_BASE_URL, Env:INFERENCE_API_KEY -ErrorAction Ignore
    }

    AfterEach { Remove-Item Env:INFERENCE_BASE_URL, Env:INFERENCE_API_KEY -ErrorAction Ignore }

    Context 'inheritance' {
        It 'a child that never connected uses the connection of its parent: <Name>' -ForEach @(
            @{ Name = 'ForEach-Object -Parallel'; Run = { param($Body) 1..3 | ForEach-Object -Parallel $Body } }
            @{ Name = 'ForEach-Object -Parallel -AsJob'; Run = { param($Body) 1..3 | ForEach-Object -Parallel $Body -ThrottleLimit 1 -AsJob | Receive-Job -Wait -AutoRemoveJob } }
            @{ Name = 'Start-ThreadJob'; Run = { param($Body) Start-ThreadJob $Body | Receive-Job -Wait -AutoRemoveJob } }
            @{ Name = 'Start-ThreadJob, throttled'; Run = { param($Body) 1..3 | ForEach-Object { Start-ThreadJob $Body -ThrottleLimit 1 } | Receive-Job -Wait -AutoRemoveJob } }
            @{ Name = 'a new PowerShell'; Run = { param($Body) $ps = [powershell]::Create(); $ps.AddScript($Body).Invoke(); $ps.Dispose() } }
            @{ Name = 'a new PowerShell, started asynchronously'; Run = { param($Body) $ps = [powershell]::Create(); $ps.EndInvoke($ps.AddScript($Body).BeginInvoke()); $ps.Dispose() } }
            @{ Name = 'a pool of runspaces'; Run = { param($Body) $pool = [runspacefactory]::CreateRunspacePool(1, 2); $pool.Open(); $ps = [powershell]::Create(); $ps.RunspacePool = $pool; $ps.AddScript($Body).Invoke(); $ps.Dispose(); $pool.Dispose() } }
        ) {
            Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
            $ids = & $Run (Get-Body '(Get-Batch b1).Id')
            $ids | Sort-Object -Unique | Should -Be 'b1'
            Get-KeySent $A | Should -Be 'Bearer key-of-a'
            $B.Calls | Should -BeNullOrEmpty
        }

        It 'a child of a child uses the connection of its own parent, not of the first' {
            Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
            Start-ThreadJob (Get-Body "Connect-BatchService -BaseUri $($B.BaseUri) -ApiKey key-of-b; 1..2 | ForEach-Object -Parallel { Import-Module '$ModulePath'; Get-Batch b1 }") |
                Receive-Job -Wait -AutoRemoveJob | Should -HaveCount 2
            $A.Calls | Should -BeNullOrEmpty
            Get-KeySent $B | Should -Be 'Bearer key-of-b'
        }

        It 'a child created before its parent connected uses the connection too' {
            $runspace = [runspacefactory]::CreateRunspace()
            $runspace.Open()
            $ps = [powershell]::Create()
            $ps.Runspace = $runspace
            try {
                $null = $ps.AddScript((Get-Body "`$null = New-BatchRequest x -Model m")).Invoke()
                Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
                $ps.Commands.Clear()
                $ps.AddScript('(Get-Batch b1).Id').Invoke() | Should -Be 'b1'
                Get-KeySent $A | Should -Be 'Bearer key-of-a'
            }
            finally {
                $ps.Dispose()
                $runspace.Dispose()
            }
        }

        It 'the environment applies if no runspace connected, also in a child' {
            $env:INFERENCE_BASE_URL = "$($A.BaseUri)"
            $null = Start-ThreadJob (Get-Body 'Get-Batch b1') | Receive-Job -Wait -AutoRemoveJob
            $A.Calls.Count | Should -Be 1
        }
    }

    Context 'a change affects only its runspace' {
        It 'two runspaces that connect at the same time each call their own service with their own key' {
            $both = [Threading.Barrier]::new(2)
            $servers = @{ Uri = "$($A.BaseUri)"; Key = 'key-of-a' }, @{ Uri = "$($B.BaseUri)"; Key = 'key-of-b' }
            $servers | ForEach-Object -ThrottleLimit 2 -Parallel {
                Import-Module $using:ModulePath
                $together = $using:both
                $null = $together.SignalAndWait(30000)
                Connect-BatchService -BaseUri $_.Uri -ApiKey $_.Key
                $null = $together.SignalAndWait(30000) # Both have connected.
                1..5 | ForEach-Object { $null = Get-Batch b1 }
            }
            $A.Calls.Count | Should -Be 5
            $B.Calls.Count | Should -Be 5
            Get-KeySent $A | Should -Be 'Bearer key-of-a'
            Get-KeySent $B | Should -Be 'Bearer key-of-b'
            { Get-BatchConnection -ErrorAction Stop } | Should -Throw -ErrorId 'ApiKeyMissing,*'
        }

        It 'a job that disconnects leaves the session connected, and is not connected itself' {
            Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
            $env:INFERENCE_BASE_URL = "$($B.BaseUri)"
            $uri = Start-ThreadJob (Get-Body 'Disconnect-BatchService; (Get-BatchConnection).BaseUri; $null = Get-Batch b1') | Receive-Job -Wait -AutoRemoveJob
            $uri | Should -Be $B.BaseUri
            Get-KeySent $B | Should -BeNullOrEmpty
            (Get-BatchConnection).BaseUri | Should -Be $A.BaseUri
            $null = Get-Batch b1
            Get-KeySent $A | Should -Be 'Bearer key-of-a'
        }

        It 'a job that connects elsewhere does not change the session and its next job' {
            Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
            $null = 1..2 | ForEach-Object { Start-ThreadJob (Get-Body "Connect-BatchService -BaseUri $($B.BaseUri) -ApiKey key-of-b") -ThrottleLimit 1 } | Receive-Job -Wait -AutoRemoveJob
            (Start-ThreadJob (Get-Body 'Get-BatchConnection') | Receive-Job -Wait -AutoRemoveJob).BaseUri | Should -Be $A.BaseUri
            (Get-BatchConnection).BaseUri | Should -Be $A.BaseUri
        }

        It 'a job of a session that never connected changes neither the session nor the next job' {
            $null = Start-ThreadJob (Get-Body "Connect-BatchService -BaseUri $($B.BaseUri) -ApiKey key-of-b; Get-Batch b1") | Receive-Job -Wait -AutoRemoveJob
            $problems = Start-ThreadJob (Get-Body 'try { Get-Batch b1 } catch { $_.FullyQualifiedErrorId }') | Receive-Job -Wait -AutoRemoveJob
            $problems | Should -BeLike 'ApiKeyMissing,*'
            { Get-BatchConnection -ErrorAction Stop } | Should -Throw -ErrorId 'ApiKeyMissing,*'
            $B.Calls.Count | Should -Be 1
        }

        It 'a running job keeps its service when the session connects to another' {
            Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
            $turn = [Threading.Barrier]::new(2)
            $job = Start-ThreadJob {
                Import-Module $using:ModulePath
                $null = Get-Batch b1
                $null = ($using:turn).SignalAndWait(30000)
                $null = ($using:turn).SignalAndWait(30000)
                $null = Get-Batch b1
            }
            $null = $turn.SignalAndWait(30000)
            Connect-BatchService -BaseUri $B.BaseUri -ApiKey key-of-b
            $null = $turn.SignalAndWait(30000)
            $job | Receive-Job -Wait -AutoRemoveJob | Should -BeNullOrEmpty
            $A.Calls.Count | Should -Be 2
            $B.Calls | Should -BeNullOrEmpty
            (Get-BatchConnection).BaseUri | Should -Be $B.BaseUri
        }

        It 'a local service that a job starts becomes the default only of the job' {
            Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
            $uri = Start-ThreadJob (Get-Body "`$null = Start-BatchServer -DataPath '$(Join-Path $TestDrive job-data)'; (Get-BatchConnection).BaseUri") | Receive-Job -Wait -AutoRemoveJob
            try {
                $uri | Should -Be (Get-BatchServer).Uri
                (Get-BatchConnection).BaseUri | Should -Be $A.BaseUri
            }
            finally { Get-BatchServer | Stop-BatchServer }
        }
    }

    Context 'objects passed from one runspace to another' {
        It 'a batch is requested from its service, with the key of that service' {
            Connect-BatchService -BaseUri $A.BaseUri -ApiKey key-of-a
            $batch = Get-Batch b1
            $null = Start-ThreadJob (Get-Body "Connect-BatchService -BaseUri $($B.BaseUri) -ApiKey key-of-b; `$input | Wait-Batch -Timeout 0 | Get-BatchResult -ErrorAction Ignore; Get-Batch b1") -InputObject $batch | Receive-Job -Wait -AutoRemoveJob
            Get-KeySent $A | Should -Be 'Bearer key-of-a'
            Get-KeySent $B | Should -Be 'Bearer key-of-b'
        }
    }
}
