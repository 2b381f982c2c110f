BeforeAll { . $PSScriptRoot/Service.ps1 }

AfterAll { Stop-TestServices }

Describe 'Get-BatchServer' {
    AfterEach { Get-BatchServer | Stop-BatchServer }

    It 'gives nothing where none runs' {
        Get-BatchServer | Should -BeNullOrEmpty
    }

    It 'gives those that run, the oldest first' {
        $made = 1..2 | ForEach-Object { Start-TestService }
        (Get-BatchServer).Uri | Should -Be $made.Uri
        (Get-BatchServer).DataPath | Should -Be $made.DataPath
    }

    It 'finds them from another shell' {
        $server = Start-TestService
        (Invoke-ChildShell '(Get-BatchServer).Uri.AbsoluteUri').Output.Trim() | Should -Be $server.Uri.AbsoluteUri
    }

    It 'forgets one that was killed' {
        $server = Start-TestService
        Stop-Process -Id $server.ProcessId -Force
        Wait-Until { -not (Get-Process -Id $server.ProcessId -ErrorAction Ignore) } | Should -BeTrue
        Get-BatchServer | Should -BeNullOrEmpty
        Get-ChildItem $env:XDG_STATE_HOME -Recurse -Filter *.json | Should -BeNullOrEmpty
    }

    It 'does not take a stranger for the service whose number it has now' {
        $server = Start-TestService
        $record = Get-ChildItem $env:XDG_STATE_HOME -Recurse -Filter "$($server.ProcessId).json"
        $text = (Get-Content $record -Raw) -replace "\b$($server.ProcessId)\b", $PID
        $server | Stop-BatchServer
        Set-Content (Join-Path $record.DirectoryName "$PID.json") $text
        Get-BatchServer | Should -BeNullOrEmpty
    }

    It 'is not put off by a record that is none' {
        $server = Start-TestService
        $folder = (Get-ChildItem $env:XDG_STATE_HOME -Recurse -Filter "$($server.ProcessId).json").DirectoryName
        Set-Content (Join-Path $folder 999999.json) '{ half'
        (Get-BatchServer -ErrorAction Stop).Uri | Should -Be $server.Uri
    }
}
