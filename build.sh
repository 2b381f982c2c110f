#!/usr/bin/env bash
# The tasks of build.ps1 from a bare shell. Where no PowerShell is to be had, dotnet alone does what it can.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: ./build.sh [TASK...] [--configuration Release|Debug] [--long]

  build    fill bin/, so that Import-Module ./InferenceBatch.psd1 works (the default)
  test     every test; --long adds the long suite
  demo     examples/tickets.csv through the local service's echo model, checked
  bench    the figures, to the screen and to bench/results.json
  analyze  dotnet format, PSScriptAnalyzer
  docs     help from docs/en-US, into en-US; fails where a page and its cmdlet disagree
  package  output/InferenceBatch/VERSION, its zip and its .nupkg; the service as a .NET tool and as a folder that needs no .NET
  clean    remove everything a build made
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
    -c | --configuration) configuration=${2:?--configuration wants Release or Debug}; shift ;;
    --long) long=1 ;;
    -h | --help | help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
[ ${#tasks[@]} -gt 0 ] || tasks=(build)

command -v dotnet >/dev/null || die "dotnet is not on the PATH. InferenceBatch builds with the .NET 10 SDK: https://dotnet.microsoft.com/download"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
cd "$root"

# Sets powershell to the command that runs PowerShell 7.4 or later, or leaves it empty.
find_powershell() {
  powershell=()
  local version major minor
  if version=$(pwsh --version 2>/dev/null); then
    IFS=' .' read -r _ major minor _ <<<"$version"
    if [ "${major:-0}" -gt 7 ] || { [ "${major:-0}" -eq 7 ] && [ "${minor:-0}" -ge 4 ]; }; then
      powershell=(pwsh)
      return
    fi
    say "$version on the PATH is older than 7.4 and is not used."
  fi
  if dotnet tool restore >/dev/null 2>&1 && dotnet tool run pwsh -- --version >/dev/null 2>&1; then
    powershell=(dotnet tool run pwsh --)
  fi
}

find_powershell
if [ ${#powershell[@]} -gt 0 ]; then
  arguments=("${tasks[@]}" -Configuration "$configuration")
  [ -z "$long" ] || arguments+=(-Long)
  exec "${powershell[@]}" -NoProfile -NonInteractive -File "$root/build.ps1" "${arguments[@]}"
fi

get_powershell="To get it: https://aka.ms/install-powershell (7.4 or later), then run the same command again."

without_powershell() {
  say ""
  say "PowerShell 7.4 or later is neither on the PATH nor to be had as a .NET tool. Left out: $*"
  say "$get_powershell"
}

built=
build() {
  [ -z "$built" ] || return 0
  dotnet build InferenceBatch.sln --configuration "$configuration" --nologo --verbosity quiet
  built=1
}

passed=0 failed=0 skipped=0

# One counter out of a trx file.
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
    say "$project: no test was found."
    failed=$((failed + 1))
  elif [ "$status" -ne 0 ] && [ "$executed" -eq "$good" ]; then
    say "$project: the test run ended with exit code $status although no test failed."
    failed=$((failed + 1))
  fi
}

test_all() {
  build
  # A person's own service and key are no part of a test.
  unset INFERENCE_API_KEY INFERENCE_BASE_URL
  rm -rf TestResults
  run_xunit InferenceBatch.Core.Tests
  run_xunit InferenceBatch.Server.Tests

  local pester
  pester=$(cat tests/Pester/*.Tests.ps1 2>/dev/null | grep -cE '^[[:space:]]*It[[:space:]]') || true
  if [ "${pester:-0}" -eq 0 ]; then
    say "tests/Pester: no test was found."
    failed=$((failed + 1))
  else
    without_powershell "the $pester Pester tests of the cmdlets, counted as skipped."
    skipped=$((skipped + pester))
  fi
  say ""
  say "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}

demo() {
  build
  unset INFERENCE_API_KEY INFERENCE_BASE_URL
  without_powershell "the cmdlets; the same tickets go through 'inference-batch run' with the same checks."
  say ""
  dotnet run --configuration "$configuration" examples/Demo.cs
}

bench() {
  build
  [ -d bench/InferenceBatch.Bench ] || die "bench/InferenceBatch.Bench is not there; see bench/README.md."
  dotnet run --project bench/InferenceBatch.Bench --configuration Release -- --results bench/results.json
  without_powershell "the figures that need PowerShell."
}

analyze() {
  build
  dotnet format InferenceBatch.sln --verify-no-changes
  without_powershell "PSScriptAnalyzer over the scripts."
}

package() {
  build
  rm -rf output
  dotnet msbuild src/InferenceBatch -t:PackageModule -p:Configuration="$configuration" -nologo -v:minimal
  dotnet msbuild src/InferenceBatch.Server -t:PackageServer -p:Configuration="$configuration" -nologo -v:minimal
  say "The help in en-US is packed as it stands."
}

for task in "${tasks[@]}"; do
  case $task in
    build) build; say "Built. In PowerShell 7.4 or later: Import-Module $root/InferenceBatch.psd1" ;;
    test) test_all ;;
    demo) demo ;;
    bench) bench ;;
    analyze) analyze ;;
    docs) without_powershell "everything: help is made by PowerShell's PlatyPS module."; exit 1 ;;
    package) package ;;
    clean) rm -rf bin output TestResults {src,tests,bench}/*/{bin,obj} ;;
  esac
done
