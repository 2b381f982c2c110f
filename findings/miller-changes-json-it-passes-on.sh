#!/usr/bin/env bash
# Miller 6.6.0 (Debian 12): JSONL that only passes through mlr --ijsonl --ojsonl changes its types and can stop being JSON.
# An integer of more than 64 bits (a snowflake or a hash as an id, a seed) comes out in quotes, so a number has become a
# string; smaller ones and fractions are kept digit for digit, which makes one trust it. And an escaped control character,
# \\u001b as terminal output has it, is written raw inside the string, which JSON forbids.
# Matters for: mlr filter, head, shuf or split on batch files.
# Conclusion: cut files of requests by lines (head, shuf, split, grep), not with a tool that parses and prints them.
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
printf '%s\n' '{"custom_id":12345678901234567890123,"seed":0.10,"text":"\u001b[31mred"}' >in.jsonl
root/usr/bin/mlr --ijsonl --ojsonl cat in.jsonl >out.jsonl
same=0
[ "$(cat out.jsonl)" = $'{"custom_id": "12345678901234567890123", "seed": 0.10, "text": "\033[31mred"}' ] || same=1
report "$(cat in.jsonl)" "$(sed 's/\x1b/<raw ESC>/g' out.jsonl)" $same
