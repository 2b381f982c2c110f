#!/usr/bin/env bash
# PowerShell 7.6.9: Import-Csv and ConvertFrom-Csv skip a first line that begins with "#", and take the first row for the header.
# "#,Subject" is how exported tables often begin: a column of numbers named #. The line is taken for a comment, quoted or not
# ("#" in quotes too), the first record becomes the column names, and $_.Subject is empty in every row. No warning. A good guess is
# a column named #.
# Matters for: everybody who sends a table of prompts through the pipeline; all rows ask the same empty question.
# Conclusion: name the columns (Import-Csv -Header '#', Subject; the first line is skipped all the same), or rename
# the column. A module should refuse prompts that are empty.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
report() { # expected, seen, exit code of the comparison
  printf 'Expected: %s\nSeen:     %s\n' "$1" "$2"
  if [ "$3" -eq 0 ]; then echo 'As described.'; else echo 'CHANGED: the behavior is no longer as described.'; fi
  exit "$3"
}

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 POWERSHELL_TELEMETRY_OPTOUT=1 POWERSHELL_UPDATECHECK=Off NO_COLOR=1
dotnet tool install PowerShell --version 7.6.9 --tool-path tools >install.log 2>&1 || { cat install.log; exit 1; }
printf '#,Subject\n1,Refund\n2,Delivery\n' >tickets.csv
printf '"#","Subject"\n1,Refund\n2,Delivery\n' >quoted.csv
tools/pwsh -NoProfile -Command '
  "PowerShell $($PSVersionTable.PSVersion)"
  foreach ($file in "tickets.csv", "quoted.csv") { Import-Csv $file | ConvertTo-Json -Compress }
  Import-Csv tickets.csv -Header "#", Subject | ConvertTo-Json -Compress' >out.txt
head -1 out.txt
same=0
[ "$(sed -n 2p out.txt)" = '{"1":"2","Refund":"Delivery"}' ] && [ "$(sed -n 3p out.txt)" = "$(sed -n 2p out.txt)" ] || same=1
[ "$(sed -n 4p out.txt)" = '[{"#":"1","Subject":"Refund"},{"#":"2","Subject":"Delivery"}]' ] || same=1
report '[{"#":"1","Subject":"Refund"},{"#":"2","Subject":"Delivery"}]' "$(sed -n 2p out.txt), quoted $(sed -n 3p out.txt); with -Header $(sed -n 4p out.txt)" $same
