#!/usr/bin/env bash
# Miller 6.6.0 (Debian 12): mlr --icsv --ojsonl writes lines that no JSON parser takes.
# Miller knows more numbers than JSON and prints them as they were read, without quotes: a column with 0x1F, 1., .5, 0b101 or 0o17
# makes lines such as {"id": 0x1F}. Other values of the same column are quoted. The exit code is 0. A good guess is that
# all values of a CSV become strings, or that whatever is printed as a number is one in JSON.
# Matters for: batch files and request tables made from CSV: ids, versions ("1.") and prices (".5") are such values.
# Conclusion: mlr -S (no type inference from data) or put '$id = string($id)'; check the file before it is sent.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
get() { apt-get -q -o APT::Sandbox::User=root download "$@" >apt.log 2>&1 || { apt-get -q update >>apt.log 2>&1; apt-get -q -o APT::Sandbox::User=root download "$@" >>apt.log 2>&1; } || { cat apt.log; exit 1; }; }

report() { # expected, seen, exit code of the comparison
  printf 'Expected: %s\nSeen:     %s\n' "$1" "$2"
  if [ "$3" -eq 0 ]; then echo 'As described.'; else echo 'CHANGED: the behavior is no longer as described.'; fi
  exit "$3"
}

get miller=6.6.0-2+b3
dpkg -x miller_*.deb root
root/usr/bin/mlr --version
printf 'id,price\n0x1F,.5\n1.,7\n007,0b101\n' >in.csv
root/usr/bin/mlr --icsv --ojsonl cat in.csv | tee out.jsonl
root/usr/bin/mlr -S --icsv --ojsonl cat in.csv >strings.jsonl
same=0
[ "$(cat out.jsonl)" = $'{"id": 0x1F, "price": .5}\n{"id": 1., "price": 7}\n{"id": "007", "price": 0b101}' ] || same=1
report 'three lines of JSON, such as {"id": "0x1F", "price": "0.5"}' "$(head -1 out.jsonl), and with -S $(head -1 strings.jsonl)" $same
