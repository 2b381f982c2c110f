# Helper functions for tests of cmdlets that call a service; dot-sourced in their BeforeAll. Removes the user's environment
# variables that select a service, and records the local services of the tests in TestDrive.

. $PSScriptRoot/Common.ps1

$script:Root = Split-Path (Split-Path $PSScriptRoot)
Import-Module $ModulePath -Force
if (-not ('FaultServer' -as [type])) {
    # tests/Shared has the server that the xunit tests of Core use. That project reports the compiler's warnings.
    $sources = Get-Item "$PSScriptRoot/FaultServer.cs", "$PSScriptRoot/../Shared/FaultServer.cs", "$PSScriptRoot/../Shared/Exchange.cs", "$PSScriptRoot/../Shared/Answer.cs"
    Add-Type -Path $sources.FullName -IgnoreWarnings -WarningAction Ignore
}

$ProgressPreference = 'SilentlyContinue'
$script:OldEnvironment = @{}
Get-ChildItem Env: | Where-Object Name -Match '^(INFERENCE_|.*_PROXY$|.*_API_KEY$|NO_COLOR$|XDG_STATE_HOME$|TMPDIR$)' | ForEach-Object { $OldEnvironment[$_.Name] = $_.Value }
Get-ChildItem Env: | Where-Object Name -Match '^(INFERENCE_(?!BATCH_TEST_)|.*_PROXY$|.*_API_KEY$)' | Remove-Item
$env:NO_COLOR = '1'
# Otherwise, a PowerShell that a test starts may send telemetry through the proxy of the test.
$env:POWERSHELL_TELEMETRY_OPTOUT = '1'
$env:XDG_STATE_HOME = Join-Path $TestDrive state
$env:TMPDIR = (New-Item (Join-Path $TestDrive temp) -ItemType Directory -Force).FullName

# Starts the local service with its own data folder. -Setting has additional options, as for environment variables.
function Start-TestService([string] $Upstream = 'echo', [hashtable] $Setting = @{}) {
    foreach ($name in $Setting.Keys) { Set-Item "Env:INFERENCE_BATCH_$name" $Setting[$name] }
    try {
        Start-BatchServer $Upstream -DataPath (Join-Path $TestDrive "data-$([guid]::NewGuid().ToString('N').Substring(0, 8))")
    }
    finally {
        foreach ($name in $Setting.Keys) { Remove-Item "Env:INFERENCE_BATCH_$name" }
    }
}

# Call it in AfterAll: stops the services of the test file, and restores the environment.
function Stop-TestServices {
    Get-BatchServer | Stop-BatchServer
    Disconnect-BatchService
    'NO_COLOR', 'XDG_STATE_HOME', 'TMPDIR' | ForEach-Object { Remove-Item "Env:$_" -ErrorAction Ignore }
    foreach ($name in $OldEnvironment.Keys) { Set-Item "Env:$name" $OldEnvironment[$name] }
}

# Returns a scripted response. Objects are converted to JSON; text and bytes are sent unchanged.
function New-Answer {
    param($Body = '', [int] $Status = 200, [hashtable] $Header = @{}, [string] $ContentType, [switch] $Drop, [int] $CutAfter = -1, [int] $StallAfter = -1, [switch] $Ranges)
    if ($Drop) { return [InferenceBatch.Answer]::Drop }
    [string[]] $headers = foreach ($name in $Header.Keys) { "${name}: $($Header[$name])" }
    $headers += "Content-Type: $($ContentType ? $ContentType : 'application/json')"
    # Keeps the pause between retries short, unless the test sets it.
    if ($Status -ge 400 -and -not ($Header.Keys -match 'retry')) { $headers += 'retry-after-ms: 1' }
    [byte[]] $bytes = if ($Body -is [byte[]]) { , $Body }
    elseif ($Body -is [string]) { , [Text.Encoding]::UTF8.GetBytes($Body) }
    else { , [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json $Body -Depth 20 -Compress)) }
    [InferenceBatch.Answer]::Scripted($Status, $bytes, $headers, $CutAfter, $StallAfter, $Ranges)
}

# Returns an error response in the format of the Batch API.
function New-Refusal([int] $Status, [string] $Message = "refused with $Status", [string] $Code = 'scripted', [hashtable] $Header = @{}) {
    New-Answer @{ error = @{ message = $Message; type = 'invalid_request_error'; param = $null; code = $Code } } -Status $Status -Header ($Header + @{ 'x-request-id' = "req-$Status" })
}

# Returns a batch object as in the API reference.
function New-WireBatch([string] $Id, [string] $Status = 'completed', [hashtable] $With = @{}) {
    $batch = [ordered]@{
        id = $Id; object = 'batch'; endpoint = '/v1/chat/completions'; errors = $null; input_file_id = "file-of-$Id"
        completion_window = '24h'; status = $Status; output_file_id = $null; error_file_id = $null; created_at = 1714508499
        in_progress_at = 1714508500; expires_at = 1714536634; completed_at = $null; failed_at = $null; expired_at = $null
        request_counts = @{ total = 2; completed = 0; failed = 0 }; metadata = $null
    }
    foreach ($name in $With.Keys) { $batch[$name] = $With[$name] }
    $batch
}

# Returns an output line as in the API reference.
function New-WireLine([string] $CustomId, [string] $Text = "answer to $CustomId", [hashtable] $With = @{}) {
    $line = [ordered]@{
        id = "batch_req_$CustomId"; custom_id = $CustomId
        response = @{
            status_code = 200; request_id = "req_$CustomId"
            body = @{ model = 'm'; choices = @(@{ index = 0; message = @{ role = 'assistant'; content = $Text }; finish_reason = 'stop' }); usage = @{ prompt_tokens = 3; completion_tokens = 4; total_tokens = 7 } }
        }
        error = $null
    }
    foreach ($name in $With.Keys) { $line[$name] = $With[$name] }
    ConvertTo-Json $line -Depth 20 -Compress
}

# Writes a batch file with this number of requests, and returns its path.
function New-InputFile([int] $Count = 3, [string] $Name = 'in.jsonl') {
    $path = Join-Path $TestDrive $Name
    [string[]](1..$Count) | New-BatchRequest -Model echo | Export-BatchFile $path -Force | Out-Null
    $path
}

# Returns the error records of a script block, terminating or not.
function Get-ErrorOf([scriptblock] $Script) {
    $found = @()
    try { $null = & { $ErrorActionPreference = 'Continue'; & $Script } -ErrorVariable unused 2>&1 | ForEach-Object { if ($_ -is [Management.Automation.ErrorRecord]) { $found += $_ } } }
    catch { $found += $_ }
    $found
}

# Returns the names that the module has left in the temporary folder.
function Get-Leftover { Get-ChildItem -LiteralPath $env:TMPDIR -Filter 'InferenceBatch-*' -Force | ForEach-Object Name }

# Returns a free port.
function Get-FreePort {
    $probe = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, 0)
    $probe.Start()
    $probe.LocalEndpoint.Port
    $probe.Stop()
}

# Waits for a condition that another process or thread causes. Returns false after the given seconds.
function Wait-Until([scriptblock] $Condition, [double] $Seconds = 15) {
    $clock = [Diagnostics.Stopwatch]::StartNew()
    while (-not (& $Condition)) {
        if ($clock.Elapsed.TotalSeconds -gt $Seconds) { return $false }
        [Threading.Thread]::Sleep(20)
    }
    $true
}

# Starts another PowerShell with its own culture, session and streams. Removes a variable whose value is $null.
function Start-Shell([string[]] $Argument, [hashtable] $Environment = @{}, [switch] $KeepInput) {
    $file, $arguments = @(Get-InterruptiblePrefix) + $PowerShell + '-NoProfile', '-NonInteractive' + $Argument
    $start = [Diagnostics.ProcessStartInfo]::new($file)
    foreach ($item in $arguments) { $start.ArgumentList.Add($item) }
    foreach ($name in $Environment.Keys) {
        $start.Environment[$name] = $Environment[$name]
        if ($null -eq $Environment[$name]) { $null = $start.Environment.Remove($name) }
    }
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $start.RedirectStandardInput = $true
    $process = [Diagnostics.Process]::Start($start)
    if (-not $KeepInput) { $process.StandardInput.Close() }
    $process
}

# Waits for a PowerShell that was started, and returns its output.
function Receive-Shell([Diagnostics.Process] $Process) {
    $errors = $Process.StandardError.ReadToEndAsync()
    $output = $Process.StandardOutput.ReadToEnd()
    $Process.WaitForExit()
    [pscustomobject]@{ Output = $output; Error = $errors.Result; ExitCode = $Process.ExitCode }
}

# Runs a script in another PowerShell, with the module.
function Start-ChildShell([string] $Script, [hashtable] $Environment = @{}, [switch] $KeepInput) {
    $path = Join-Path $TestDrive "child-$([guid]::NewGuid().ToString('N').Substring(0, 8)).ps1"
    Set-Content -LiteralPath $path -Value "`$ProgressPreference = 'SilentlyContinue'`nImport-Module '$ModulePath'`n$Script"
    Start-Shell '-File', $path $Environment -KeepInput:$KeepInput
}

function Invoke-ChildShell([string] $Script, [hashtable] $Environment = @{}) {
    Receive-Shell (Start-ChildShell $Script $Environment)
}
