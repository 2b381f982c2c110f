# Tests every command that writes with a full disk. The disk is a small tmpfs, which only root on Linux can mount.

BeforeDiscovery { $script:CanMount = $IsLinux -and (id -u) -eq '0' }

BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Faults = [FaultServer]::new()
    $script:Disk = (New-Item (Join-Path $TestDrive disk) -ItemType Directory).FullName
    $script:OldTemp = $env:TMPDIR
    $script:OldState = $env:XDG_STATE_HOME

    function Assert-DiskFull($Problem) {
        $Problem.Count | Should -BeGreaterOrEqual 1
        Get-ErrorId $Problem[0] | Should -Be 'FileUnwritable'
        $Problem[0].CategoryInfo.Category | Should -Be 'WriteError'
        "$($Problem[0])" | Should -Match 'cannot be written: No space left on device'
        ([regex]::Matches("$($Problem[0])", 'cannot be written')).Count | Should -Be 1
    }

    function Get-LongRequest([int] $Count = 100) { 1..$Count | ForEach-Object { "$_ " + 'x' * 8000 } | New-BatchRequest -Model echo }
}

AfterAll {
    $env:TMPDIR, $env:XDG_STATE_HOME = $OldTemp, $OldState
    $Faults.Dispose()
    Stop-TestServices
}

Describe 'A full disk is FileUnwritable' -Skip:(-not $CanMount) {
    BeforeEach {
        $Faults.Reset()
        mount -t tmpfs -o size=128k tmpfs $Disk
    }

    AfterEach {
        $env:TMPDIR, $env:XDG_STATE_HOME = $OldTemp, $OldState
        umount $Disk
    }

    It 'in Export-BatchFile, which leaves nothing behind' {
        $requests = Get-LongRequest
        Assert-DiskFull (Get-ErrorOf { $requests | Export-BatchFile (Join-Path $Disk out.jsonl) })
        Get-ChildItem $Disk -Force | Should -BeNullOrEmpty
    }

    It 'in Send-BatchFile with requests, which sends nothing' {
        $requests = Get-LongRequest
        $env:TMPDIR = $Disk
        Assert-DiskFull (Get-ErrorOf { $requests | Send-BatchFile -BaseUri $Faults.BaseUri })
        $Faults.Calls | Should -BeNullOrEmpty
        Get-ChildItem $Disk -Force | Should -BeNullOrEmpty
    }

    It 'in Send-BatchFile with few requests on a disk that is already full' {
        [IO.File]::WriteAllBytes((Join-Path $Disk hog), [byte[]]::new(128kb))
        $env:TMPDIR = $Disk
        Assert-DiskFull (Get-ErrorOf { 'a' | New-BatchRequest -Model echo | Send-BatchFile -BaseUri $Faults.BaseUri })
        $Faults.Calls | Should -BeNullOrEmpty
    }

    It 'in Send-BatchFile with a UTF-16 file, which sends the other files' {
        $Faults.On('POST /v1/files', @(New-Answer @{ id = 'f1' }))
        $wide = Join-Path $TestDrive wide.jsonl
        Get-LongRequest | Export-BatchFile (Join-Path $TestDrive narrow.jsonl) -Force | Get-Content -Raw | Set-Content $wide -Encoding unicode -NoNewline
        $path = New-InputFile 2
        $env:TMPDIR = $Disk
        $problem = Get-ErrorOf { $script:sent = Send-BatchFile $wide, $path -BaseUri $Faults.BaseUri }
        Assert-DiskFull $problem
        $problem[0].TargetObject | Should -Be $wide
        $Faults.Calls.Count | Should -Be 1
        Get-ChildItem $Disk -Force | Should -BeNullOrEmpty
    }

    It 'in Send-BatchFile if the temporary folder cannot be created' {
        $env:TMPDIR = '/sys/'
        $problem = Get-ErrorOf { 'a' | New-BatchRequest -Model echo | Send-BatchFile -BaseUri $Faults.BaseUri }
        Get-ErrorId $problem[0] | Should -Be 'FileUnwritable'
    }

    It 'in Save-BatchFile' {
        $Faults.On('GET /v1/files/f1/content', @(New-Answer ([byte[]]::new(300000))))
        Assert-DiskFull (Get-ErrorOf { Save-BatchFile f1 (Join-Path $Disk f1.jsonl) -BaseUri $Faults.BaseUri })
    }

    It 'in Get-BatchResult -Ordered, which reports it once and ends' {
        $lines = foreach ($n in 1..100) { New-WireLine "request-$n" ('y' * 8000) }
        foreach ($id in 'b1', 'b2') {
            $Faults.On("GET /v1/batches/$id", @(New-Answer (New-WireBatch $id 'completed' @{ output_file_id = "o-$id" })))
            $Faults.On("GET /v1/files/o-$id/content", @(New-Answer ($lines -join "`n")))
        }
        $requests = [string[]](1..100) | New-BatchRequest -Model echo
        $env:TMPDIR = $Disk
        $problem = Get-ErrorOf { Get-BatchResult b1, b2 -Request $requests -Ordered -BaseUri $Faults.BaseUri }
        Assert-DiskFull $problem
        $problem.Count | Should -Be 1
        Get-ChildItem $Disk -Force | Should -BeNullOrEmpty
    }

    It 'in Invoke-Batch without a checkpoint, which sends nothing' {
        $env:TMPDIR = $Disk
        $rows = 1..100 | ForEach-Object { "$_ " + 'x' * 8000 }
        Assert-DiskFull (Get-ErrorOf { $rows | Invoke-Batch -Model echo -BaseUri $Faults.BaseUri })
        $Faults.Calls | Should -BeNullOrEmpty
        Get-ChildItem $Disk -Force | Should -BeNullOrEmpty
    }

    It 'in Invoke-Batch with a checkpoint, whose rows do not fit' {
        $rows = 1..100 | ForEach-Object { "$_ " + 'x' * 8000 }
        Assert-DiskFull (Get-ErrorOf { $rows | Invoke-Batch -Model echo -BaseUri $Faults.BaseUri -CheckpointPath (Join-Path $Disk run) })
        $Faults.Calls | Where-Object Method -EQ POST | Should -BeNullOrEmpty
    }

    It 'in Invoke-Batch with a checkpoint, whose results do not fit; with free space the same command reads them and pays nothing' {
        $server = Start-TestService
        try {
            $run = Join-Path $Disk run
            $rows = 1..8 | ForEach-Object { "$_ " + 'x' * 9000 }
            $problem = Get-ErrorOf { $rows | Invoke-Batch -Model echo -BaseUri $server.Uri -CheckpointPath $run }
            Assert-DiskFull $problem
            mount -o 'remount,size=16m' $Disk
            $results = $rows | Invoke-Batch -Model echo -BaseUri $server.Uri -CheckpointPath $run -Ordered
            $results.Text | Should -Be $rows
            @(Get-Batch -BaseUri $server.Uri).Count | Should -Be 1
        }
        finally { $server | Stop-BatchServer }
    }

    It 'in Start-BatchServer, which stops a service that it cannot record' {
        [IO.File]::WriteAllBytes((Join-Path $Disk hog), [byte[]]::new(128kb))
        $env:XDG_STATE_HOME = $Disk
        $data = Join-Path $TestDrive unrecorded
        $problem = Get-ErrorOf { Start-BatchServer -DataPath $data }
        Assert-DiskFull $problem
        Join-Path $data process-id | Should -Not -Exist -Because 'the service has ended'
        Get-BatchServer | Should -BeNullOrEmpty
        $env:XDG_STATE_HOME = $OldState
        $server = Start-BatchServer -DataPath $data
        $server | Stop-BatchServer
    }
}

Describe 'A file that cannot be read is still FileUnreadable' {
    It 'in Get-BatchResult' -Skip:(-not $IsLinux) {
        # Its first page is not mapped, so reading fails with EIO.
        $problem = Get-ErrorOf { Get-BatchResult -LiteralPath /proc/self/mem }
        Get-ErrorId $problem[0] | Should -Be 'FileUnreadable'
    }
}
