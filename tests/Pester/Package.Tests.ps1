# Tests the package, created from the build, and unpacked to a path with a space, an umlaut and other special characters.

BeforeAll {
    . $PSScriptRoot/Service.ps1
    $script:Packed = & dotnet msbuild $Root/src/InferenceBatch -t:PackageModule -p:Configuration=Release "-p:PackageRoot=$TestDrive/output/" -nologo -v:quiet 2>&1
    if ($LASTEXITCODE) { throw "Packing failed: $Packed" }
    $script:Version = ([xml](Get-Content -LiteralPath $Root/Directory.Build.props -Raw)).SelectSingleNode('//Version').InnerText
    $script:Nupkg = "$TestDrive/output/InferenceBatch.$Version.nupkg"
    $script:Folder = "$TestDrive/ein Pfad ä 模块/InferenceBatch/$Version"
    Expand-Archive -LiteralPath $Nupkg -DestinationPath $Folder
    $script:Nuspec = ([xml](Get-Content -LiteralPath $Folder/InferenceBatch.nuspec -Raw)).package.metadata
    # Ignores files that the package container adds.
    Remove-Item -LiteralPath "$Folder/_rels", "$Folder/package", "$Folder/[Content_Types].xml", "$Folder/InferenceBatch.nuspec" -Recurse -Force
    $script:Files = @(Get-ChildItem -LiteralPath $Folder -Recurse -File | ForEach-Object { [IO.Path]::GetRelativePath($Folder, $_.FullName).Replace('\', '/') })
    $script:Manifest = Import-PowerShellDataFile -LiteralPath $Folder/InferenceBatch.psd1
    $script:Notes = [regex]::Match((Get-Content -LiteralPath $Root/CHANGELOG.md -Raw), "(?ms)^## $([regex]::Escape($Version)).*?\n(.*?)(?=^## |\z)").Groups[1].Value.Trim()
}

AfterAll { Stop-TestServices }

Describe 'The package' {
    It 'contains the files that its manifest lists, and no others' {
        $Manifest.FileList | Sort-Object | Should -Be ($Files | Sort-Object)
        Get-ChildItem -LiteralPath $TestDrive/output/InferenceBatch/$Version -Recurse -File | Measure-Object | ForEach-Object Count | Should -Be $Files.Count
    }

    It 'contains help, licence, the service and native libraries for the usual systems, but no symbols' {
        'LICENSE', 'README.md', 'CHANGELOG.md', 'examples/tickets.csv', 'examples/Nightly.ps1', 'en-US/InferenceBatch.dll-Help.xml', 'en-US/about_InferenceBatch.help.txt', 'bin/server/inference-batch.dll' | Should -BeIn $Files
        foreach ($system in 'win-x64', 'win-arm64', 'linux-x64', 'linux-arm64', 'linux-musl-x64', 'linux-musl-arm64', 'osx-x64', 'osx-arm64') {
            $Files -match "^bin/server/runtimes/$system/native/" | Should -Not -BeNullOrEmpty -Because $system
        }
        $Files | Should -Not -Match '\.pdb$'
        (Get-Item -LiteralPath $Nupkg).Length | Should -BeLessThan 12MB
    }

    It 'has every file that its documents link to' {
        $links = foreach ($document in $Files -like '*.md') {
            foreach ($link in [regex]::Matches((Get-Content -LiteralPath $Folder/$document -Raw), '\]\((?!https?:|#)([^)#\s]+)').ForEach({ $_.Groups[1].Value })) {
                [IO.Path]::GetRelativePath($Folder, [IO.Path]::Combine($Folder, (Split-Path $document), $link)).Replace('\', '/')
            }
        }
        'docs/service.md', 'docs/local-servers.md', 'docs/openapi.yaml', 'examples/README.md', 'examples/Embed.ps1', 'packaging/Containerfile' | Should -BeIn $links
        $links | Sort-Object -Unique | Where-Object { $_ -notin $Files } | Should -BeNullOrEmpty
    }

    It 'works as its README says: found by name, its first example runs in its folder, and a script of examples/' {
        $block = [regex]::Match((Get-Content -LiteralPath $Folder/README.md -Raw), '(?s)```powershell\r?\n(.*?)```\r?\n\r?\n```text\r?\n(.*?)```')
        $script = Join-Path $TestDrive readme.ps1
        Set-Content -LiteralPath $script @"
Import-Module InferenceBatch
Set-Location -LiteralPath (Get-Module InferenceBatch).ModuleBase
`$PSStyle.OutputRendering = 'PlainText'
. { $($block.Groups[1].Value) } | Out-String -Width 100
Get-BatchServer | Stop-BatchServer
./examples/Demo.ps1
exit `$LASTEXITCODE
"@
        $run = Receive-Shell (Start-Shell '-File', $script @{ PSModulePath = Split-Path (Split-Path $Folder); XDG_STATE_HOME = Join-Path $TestDrive installed })
        $run.Error | Should -BeNullOrEmpty
        $run.ExitCode | Should -Be 0
        $text = { param($Written) ($Written -split '\r?\n' | ForEach-Object TrimEnd | Where-Object { $_ }) -join "`n" }
        & $text $run.Output | Should -BeLike "$(& $text $block.Groups[2].Value)*66 answers*0 differences."
    }

    It 'has a manifest without warnings' {
        $tested = Test-ModuleManifest -Path ([WildcardPattern]::Escape("$Folder/InferenceBatch.psd1")) -WarningVariable warned -ErrorVariable failed
        $warned, $failed | ForEach-Object { $_ } | Should -BeNullOrEmpty
        $tested.Version | Should -Be $Version
        $tested.LicenseUri | Should -Not -BeNullOrEmpty
        $tested.ReleaseNotes | Should -BeExactly $Notes
        $Notes.Length | Should -BeGreaterThan 100
        'Functions', 'Variables', 'Aliases' | ForEach-Object { $Manifest["${_}ToExport"] | Should -BeNullOrEmpty }
        $Manifest.CmdletsToExport | Should -Not -Contain '*'
    }

    It 'has the same metadata for the Gallery: <Name>' -ForEach @(
        @{ Name = 'id'; Right = { 'InferenceBatch' } }
        @{ Name = 'version'; Right = { $Version } }
        @{ Name = 'authors'; Right = { $Manifest.Author } }
        @{ Name = 'description'; Right = { $Manifest.Description } }
        @{ Name = 'copyright'; Right = { $Manifest.Copyright } }
        @{ Name = 'licenseUrl'; Right = { $Manifest.PrivateData.PSData.LicenseUri } }
        @{ Name = 'projectUrl'; Right = { $Manifest.PrivateData.PSData.ProjectUri } }
        @{ Name = 'releaseNotes'; Right = { $Notes } }
    ) {
        "$($Nuspec.$Name)" | Should -BeExactly "$(& $Right)"
    }

    It 'is found by the names of its commands' {
        $tags = $Nuspec.tags -split ' '
        foreach ($name in $Manifest.CmdletsToExport) { "PSCmdlet_$name", "PSCommand_$name" | Should -BeIn $tags }
        @('PSModule') + $Manifest.PrivateData.PSData.Tags | Should -BeIn $tags
        $tags.Where({ $_ -like 'PSCmdlet_*' }).Count | Should -Be $Manifest.CmdletsToExport.Count
        $Nuspec.tags.Length | Should -BeLessThan 4000
    }

    It 'has the address of the project, if it is known' {
        $null = & dotnet msbuild $Root/src/InferenceBatch -t:PackageModule -p:Configuration=Release "-p:PackageRoot=$TestDrive/with-address/" -p:PackageProjectUrl=https://example.org/batch -nologo -v:quiet
        (Test-ModuleManifest -Path $TestDrive/with-address/InferenceBatch/$Version/InferenceBatch.psd1).ProjectUri | Should -Be 'https://example.org/batch'
        $archive = [IO.Compression.ZipFile]::OpenRead("$TestDrive/with-address/InferenceBatch.$Version.nupkg")
        try { [IO.StreamReader]::new($archive.GetEntry('InferenceBatch.nuspec').Open()).ReadToEnd() | Should -Match '<projectUrl>https://example.org/batch</projectUrl>' }
        finally { $archive.Dispose() }
    }

    It 'works in a new process, with service and help' {
        $script = Join-Path $TestDrive use.ps1
        Set-Content -LiteralPath $script @"
`$ErrorActionPreference = 'Stop'
Import-Module '$Folder/InferenceBatch.psd1'
`$server = Start-BatchServer -DataPath '$TestDrive/data ä'
try { ('größer', 'b' | Invoke-Batch -Model echo -Ordered).Text -join ',' } finally { `$server | Stop-BatchServer }
(Get-Help Invoke-Batch).Synopsis
(Get-Module InferenceBatch).ModuleBase
"@
        $run = Receive-Shell (Start-Shell '-File', $script)
        $run.Error | Should -BeNullOrEmpty
        $run.Output.Trim() -split '\r?\n' | Should -BeExactly 'größer,b', (Get-Help Invoke-Batch).Synopsis, $Folder
    }

    It 'is accepted by the client of the Gallery: found, saved and imported from a repository' -Skip:(-not (Get-Command Register-PSResourceRepository -ErrorAction Ignore) -or $IsWindows) {
        $home2 = (New-Item -ItemType Directory "$TestDrive/home").FullName
        $script = Join-Path $TestDrive install.ps1
        Set-Content -LiteralPath $script @"
`$ErrorActionPreference = 'Stop'
Register-PSResourceRepository -Name Here -Uri '$TestDrive/output' -Trusted
(Find-PSResource -Name InferenceBatch -Repository Here).Version.ToString()
Save-PSResource -Name InferenceBatch -Repository Here -Path '$home2' -TrustRepository
Import-Module '$home2/InferenceBatch/$Version/InferenceBatch.psd1'
(Get-Command -Module InferenceBatch).Count
"@
        $run = Receive-Shell (Start-Shell '-File', $script @{ HOME = $home2; XDG_CONFIG_HOME = $null; XDG_DATA_HOME = $null; XDG_CACHE_HOME = $null })
        $run.Error | Should -BeNullOrEmpty
        $run.Output.Trim() -split '\r?\n' | Should -Be $Version, $Manifest.CmdletsToExport.Count
    }
}
