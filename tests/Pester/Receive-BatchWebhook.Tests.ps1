BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Secret = 'whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c='

    # Runs Receive-BatchWebhook in another runspace, and returns it when it listens.
    function Start-Receiver([string] $Prefix, [hashtable] $With = @{}) {
        $ps = [powershell]::Create()
        $null = $ps.AddScript('param($Module, $Prefix, $With) Import-Module $Module; Receive-BatchWebhook $Prefix -Verbose @With').AddArgument($ModulePath).AddArgument($Prefix).AddArgument($With)
        $running = $ps.BeginInvoke()
        Wait-Until { $running.IsCompleted -or $ps.Streams.Verbose -match 'Listening' } 30 | Should -BeTrue
        [pscustomobject]@{ Shell = $ps; Running = $running }
    }

    function Receive-Events($Receiver) {
        $Receiver.Running.AsyncWaitHandle.WaitOne(20000) | Should -BeTrue
        $Receiver.Shell.EndInvoke($Receiver.Running)
    }

    function Send-Event([string] $Prefix, [string] $Body, [string] $Id, [string] $Key = $Secret) {
        $now = [DateTimeOffset]::UtcNow
        $signature = [InferenceBatch.Webhooks.WebhookSignature]::new($Key).Sign($Id, $now, [Text.Encoding]::UTF8.GetBytes($Body))
        $headers = @{ 'webhook-id' = $Id; 'webhook-timestamp' = "$($now.ToUnixTimeSeconds())"; 'webhook-signature' = $signature }
        (Invoke-WebRequest $Prefix -Method Post -Body $Body -Headers $headers -SkipHttpErrorCheck).StatusCode
    }
}

AfterAll { Stop-TestServices }

Describe 'Receive-BatchWebhook' {
    BeforeEach { $script:Prefix = "http://127.0.0.1:$(Get-FreePort)/s3cret/" }

    It 'returns each event once, verified, until -First' {
        $receiver = Start-Receiver $Prefix @{ Secret = $Secret; First = 2 }
        try {
            Send-Event $Prefix '{"type":"batch.completed","data":{"id":"b0"}}' wh_0 -Key 'whsec_AAAA' | Should -Be 401
            1..2 | ForEach-Object { Send-Event $Prefix '{"type":"batch.completed","data":{"id":"b1"}}' wh_1 | Should -Be 204 }
            Send-Event $Prefix '{"type":"batch.failed","data":{"id":"b2"}}' wh_2 | Should -Be 204
            $events = Receive-Events $receiver
            $events.BatchId | Should -Be 'b1', 'b2'
            $events.IsVerified | Should -Be $true, $true
            $events[1].Type | Should -Be 'batch.failed'
            $shown = ($events | Out-String -Width 80) -split '\r?\n' | Where-Object { $_ }
            $shown[0] | Should -Match '^Received +Type +BatchId +Verified'
            $shown[2] | Should -Match '^\d\d:\d\d:\d\d batch\.completed +b1 +True'
            $shown | ForEach-Object { $_.TrimEnd().Length | Should -BeLessOrEqual 80 }
        }
        finally { $receiver.Shell.Dispose() }
    }

    It 'receives the event of the local service when a batch ends' {
        $server = Start-BatchServer -DataPath (Join-Path $TestDrive hooks) -WebhookSecret $Secret -AllowInsecureWebhooks
        $receiver = Start-Receiver $Prefix @{ Secret = $Secret; First = 1 }
        try {
            $batch = 'a', 'b' | New-BatchRequest -Model echo | Send-BatchFile | New-Batch -WebhookUrl "${Prefix}done"
            $told = Receive-Events $receiver
            $told.BatchId | Should -Be $batch.Id
            $told.Type | Should -Be 'batch.completed'
            $told.IsVerified | Should -BeTrue
            $told.Id | Should -Match '^evt_'
            ($told.Json | ConvertFrom-Json).data.request_counts.completed | Should -Be 2
        }
        finally {
            $receiver.Shell.Dispose()
            $server | Stop-BatchServer
        }
    }

    It 'ends at -Timeout without an error, and leaves the port free' {
        1..2 | ForEach-Object { Receive-BatchWebhook $Prefix -TimeoutSec 0.2 -ErrorAction Stop | Should -BeNullOrEmpty }
    }

    It 'listens without limit for a -Timeout of <_>' -ForEach ([double]::MaxValue), ([double]::PositiveInfinity), ([timespan]::MaxValue), ([Threading.Timeout]::InfiniteTimeSpan) {
        $receiver = Start-Receiver $Prefix @{ Timeout = $_; First = 1 }
        try {
            (Invoke-WebRequest $Prefix -Method Post -Body '{"batch_id":"b1"}').StatusCode | Should -Be 204
            $receiver.Running.AsyncWaitHandle.WaitOne(20000) | Should -BeTrue
            $receiver.Shell.EndInvoke($receiver.Running).BatchId | Should -Be 'b1'
        }
        finally { $receiver.Shell.Dispose() }
    }

    It 'ends when it is stopped, and leaves the port free' {
        $receiver = Start-Receiver $Prefix
        $receiver.Shell.Stop()
        $receiver.Shell.Dispose()
        Receive-BatchWebhook $Prefix -Timeout 0 -ErrorAction Stop | Should -BeNullOrEmpty
    }

    It 'ends with Select-Object -First 1 downstream' {
        $ps = [powershell]::Create()
        try {
            $null = $ps.AddScript('param($Module, $Prefix) Import-Module $Module; Receive-BatchWebhook $Prefix -Verbose | Select-Object -First 1').AddArgument($ModulePath).AddArgument($Prefix)
            $running = $ps.BeginInvoke()
            Wait-Until { $ps.Streams.Verbose -match 'Listening' } 30 | Should -BeTrue
            (Invoke-WebRequest $Prefix -Method Post -Body '{"batch_id":"b1"}').StatusCode | Should -Be 204
            $running.AsyncWaitHandle.WaitOne(20000) | Should -BeTrue
            $ps.EndInvoke($running).BatchId | Should -Be 'b1'
        }
        finally { $ps.Dispose() }
    }

    It 'reports <Id> for <Given>, without the secret' -ForEach @(
        @{ Given = @{ Prefix = 'https://127.0.0.1:1/x/' }; Id = 'InvalidValue' }
        @{ Given = @{ Prefix = 'http://127.0.0.1:0/x/'; Secret = 'whsec_not-to-be-seen!' }; Id = 'InvalidValue' }
        @{ Given = @{ Prefix = 'http://192.0.2.1:8123/x/' }; Id = 'WebhookListenFailed' }
    ) {
        $problem = Get-Failure { Receive-BatchWebhook @Given -Timeout 0 }
        Get-ErrorId $problem | Should -Be $Id
        "$problem" | Should -Not -Match 'not-to-be-seen'
    }
}
