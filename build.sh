#!/usr/bin/env bash
# Runs the tasks of build.ps1 from any shell. Without PowerShell, it does what dotnet alone can do.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: ./build.sh [TASK...] [--configuration Release|Debug] [--long]

  build    build everything; then Import-Module ./InferenceBatch.psd1 works (the default task)
  test     run all tests; --long also runs the long ones. As root on Debian, installs Chromium for the tests of the page
  demo     build the module and the service, send examples/tickets.csv through the service's echo model, and check the results
  bench    measure performance, print the figures and write them to bench/results.json
  analyze  run dotnet format and PSScriptAnalyzer
  docs     generate the help in en-US from docs/en-US; fails if a page and its cmdlet differ
  package  create the module package in output/: a folder, a zip and a .nupkg; and the service as a .NET tool and a self-contained folder
  clean    remove all build output
TEXT
}

say() { printf '%s\n' "$*"; }
die() { say "$*" >&2; exit 1; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tasks=()
configuration=Release
long=

while [ $# -gt 0 ]; do
  case $1 in
    build | test | demo | bench | analyze | docs | package | clean) tasks+=("$1") ;;
    -c | --configuration) configuration=${2:?"--configuration requires a value: Release or Debug"}; shift ;;
    --long) long=1 ;;
    -h | --help | help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[ ${#tasks[@]} -gt 0 ] || tasks=(build)

has_task() { [[ " ${tasks[*]} " == *" $1 "* ]]; }

command -v dotnet >/dev/null || die "dotnet is not on the PATH. Install the .NET 10 SDK: https://dotnet.microsoft.com/download"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cd "$root"

# Sets powershell to the command that runs PowerShell 7.4 or later. Leaves it empty if there is none.
find_powershell() {
  powershell=()
  local version major minor
  say "Looking for PowerShell 7.4 or later..."
  if version=$(pwsh --version 2>/dev/null); then
    IFS=' .' read -r _ major minor _ <<<"$version"
    if [ "${major:-0}" -gt 7 ] || { [ "${major:-0}" -eq 7 ] && [ "${minor:-0}" -ge 4 ]; }; then
      powershell=(pwsh)
      say "Using $version."
      return
    fi
    say "$version on the PATH is too old; version 7.4 or later is required."
  fi
  say "Getting PowerShell as a .NET tool (a download of about 45 MB the first time)..."
  if dotnet tool restore >/dev/null 2>&1 && dotnet tool run pwsh -- --version >/dev/null 2>&1; then
    powershell=(dotnet tool run pwsh --)
  fi
}

# Installs Chromium for the tests of the page if no question or password is needed for it. These tests are skipped otherwise.
get_chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
      return
    fi
  done
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null || ! command -v timeout >/dev/null; then
    say "Chromium is not on the PATH, so the tests of the page are skipped. To install it on Debian, as root: apt-get install chromium"
    return
  fi

  # Only the steps that use the network have a time limit: an installation that is interrupted would leave packages half configured.
  say "Installing Chromium for the tests of the page: apt-get install chromium (at most a few minutes)..."
  local apt=(apt-get -qq -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o DPkg::Lock::Timeout=30)
  local log
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if {
    { timeout 60 "${apt[@]}" install --download-only -y --no-install-recommends chromium ||
      { timeout 120 "${apt[@]}" update && timeout 240 "${apt[@]}" install --download-only -y --no-install-recommends chromium; }; } &&
      "${apt[@]}" install -y --no-download --no-install-recommends chromium && command -v chromium
  } >"$log" 2>&1 </dev/null; then
    say "Installed Chromium."
  else
    say "Chromium could not be installed, so the tests of the page are skipped. The end of apt-get's output:"
    tail -n 3 "$log"
  fi
  rm -f "$log"
}

if has_task test; then
  get_chromium
fi
find_powershell
if [ ${#powershell[@]} -gt 0 ]; then
  arguments=("${tasks[@]}" -Configuration "$configuration")
  [ -z "$long" ] || arguments+=(-Long)
  exec "${powershell[@]}" -NoProfile -NonInteractive -File "$root/build.ps1" "${arguments[@]}"
fi
say "PowerShell is not available. Continuing with dotnet alone."

without_powershell() {
  say ""
  say "Skipped $*, because PowerShell 7.4 or later is not on the PATH and could not be installed as a .NET tool."
  say "To install it: https://aka.ms/install-powershell. Then run the same command again."
}

built=
build() {
  [ -z "$built" ] || return 0
  say "Building the solution..."
  dotnet build InferenceBatch.sln --configuration "$configuration" --nologo --verbosity quiet
  built=1
}

passed=0 failed=0 skipped=0

# Reads a counter from a trx file.
counter() { sed -n "s/.*<Counters[^>]* $2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

run_xunit() {
  local project=$1 trx="TestResults/$1.trx" status=0 total executed good
  local arguments=(--configuration "$configuration" --no-build --nologo --results-directory TestResults --logger "trx;LogFileName=$project.trx")
  [ -n "$long" ] || arguments+=(--filter "Category!=Long" --blame-hang-timeout 10min --blame-hang-dump-type none)
  dotnet test "tests/$project" "${arguments[@]}" || status=$?

  total=0 executed=0 good=0
  if [ -f "$trx" ]; then
    total=$(counter "$trx" total) executed=$(counter "$trx" executed) good=$(counter "$trx" passed)
  fi
  passed=$((passed + good))
  failed=$((failed + executed - good))
  skipped=$((skipped + total - executed))
  if [ "${total:-0}" -eq 0 ]; then
    say "$project: no tests were found."
    failed=$((failed + 1))
  elif [ "$status" -ne 0 ] && [ "$executed" -eq "$good" ]; then
    say "$project: no test failed, but the test run ended with exit code $status."
    failed=$((failed + 1))
  fi
}

test_all() {
  build
  # Tests must not use your own service and key.
  unset INFERENCE_API_KEY INFERENCE_BASE_URL
  rm -rf TestResults
  run_xunit InferenceBatch.Core.Tests
  run_xunit InferenceBatch.Server.Tests

  local pester
  pester=$(cat tests/Pester/*.Tests.ps1 2>/dev/null | grep -cE '^[[:space:]]*It[[:space:]]') || true
  if [ "${pester:-0}" -eq 0 ]; then
    say "tests/Pester: no tests were found."
    failed=$((failed + 1))
  else
    without_powershell "the $pester Pester tests of the cmdlets"
    skipped=$((skipped + pester))
  fi
  say ""
  say "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}

demo() {
  if [ -z "$built" ]; then
    say "Building the local service (about a minute the first time)..."
    dotnet build src/InferenceBatch.Server --configuration "$configuration" --nologo --verbosity minimal
  fi
  unset INFERENCE_API_KEY INFERENCE_BASE_URL
  without_powershell "the cmdlets"
  say "The same tickets go through 'inference-batch run', with the same checks."
  say ""
  dotnet run --configuration "$configuration" examples/Demo.cs
}

bench() {
  build
  dotnet run --project bench/InferenceBatch.Bench --configuration Release -- --results bench/results.json
  without_powershell "the figures that need PowerShell"
}

analyze() {
  build
  dotnet format InferenceBatch.sln --verify-no-changes
  without_powershell "PSScriptAnalyzer for the scripts"
}

package() {
  build
  rm -rf output
  dotnet msbuild src/InferenceBatch -t:PackageModule -p:Configuration="$configuration" -nologo -v:minimal
  dotnet msbuild src/InferenceBatch.Server -t:PackageServer -p:Configuration="$configuration" -nologo -v:minimal
  say "The package contains the committed help in en-US."
}

for task in "${tasks[@]}"; do
  case $task in
    build) build; say "Built. In PowerShell 7.4 or later: Import-Module $root/InferenceBatch.psd1" ;;
    test) test_all ;;
    demo) demo ;;
    bench) bench ;;
    analyze) analyze ;;
    docs) without_powershell "the help, which PowerShell's PlatyPS module generates"; exit 1 ;;
    package) package ;;
    clean) rm -rf bin output TestResults {src,tests,bench}/*/{bin,obj} ;;
  esac
done
