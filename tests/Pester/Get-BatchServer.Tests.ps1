BeforeAll { . $PSScriptRoot/Service.ps1 }

AfterAll { Stop-TestServices }

Describe 'Get-BatchServer' {
    AfterEach { Get-BatchServer | Stop-BatchServer }

    It 'returns nothing if no service runs' {
        Get-BatchServer | Should -BeNullOrEmpty
    }

    It 'returns the running services, the oldest first' {
        $made = 1..2 | ForEach-Object { Start-TestService }
        (Get-BatchServer).Uri | Should -Be $made.Uri
        (Get-BatchServer).DataPath | Should -Be $made.DataPath
    }

    It 'finds services of another shell' {
        $server = Start-TestService
        (Invoke-ChildShell '(Get-BatchServer).Uri.AbsoluteUri').Output.Trim() | Should -Be $server.Uri.AbsoluteUri
    }

    It 'omits a service that was killed' {
        $server = Start-TestService
        Stop-Process -Id $server.ProcessId -Force
        Wait-Until { -not (Get-Process -Id $server.ProcessId -ErrorAction Ignore) } | Should -BeTrue
        Get-BatchServer | Should -BeNullOrEmpty
        Get-ChildItem $env:XDG_STATE_HOME -Recurse -Filter *.json | Should -BeNullOrEmpty
    }

    It 'does not mistake another process with the same ID for the service' {
        $server = Start-TestService
        $record = Get-ChildItem $env:XDG_STATE_HOME -Recurse -Filter "$($server.ProcessId).json"
        $text = (Get-Content $record -Raw) -replace "\b$($server.ProcessId)\b", $PID
        $server | Stop-BatchServer
        Set-Content (Join-Path $record.DirectoryName "$PID.json") $text
        Get-BatchServer | Should -BeNullOrEmpty
    }

    It 'ignores a damaged record' {
        $server = Start-TestService
        $folder = (Get-ChildItem $env:XDG_STATE_HOME -Recurse -Filter "$($server.ProcessId).json").DirectoryName
        Set-Content (Join-Path $folder 999999.json) '{ half'
        (Get-BatchServer -ErrorAction Stop).Uri | Should -Be $server.Uri
    }
}
