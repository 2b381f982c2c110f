#!/usr/bin/env bash
# csvkit 1.0.7 (Debian 12): csvjson --stream turns prompts into null, durations and dates of the year 1.
# Types are guessed for each column. One in which every text is a word for nothing ("none", "N/A") becomes null; "5 min" becomes
# "0:05:00", "yes" true, "$5" 5.0, and "next monday" and "tomorrow" become days of January of the year 1. Custom ids 007 and
# 008 become 7.0 and 8.0. One longer text in the column prevents all but the nulls. Most people know of the numbers only.
# Matters for: short prompts, labels and examples (dates, prices, answers) that go from CSV into requests.
# Conclusion: csvjson --no-inference, and even then look at empty and "none" values.
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

get python3-csvkit=1.0.7-1 python3-agate=1.6.3-2 python3-babel=2.10.3-1 python-babel-localedata=2.10.3-1 python3-parsedatetime=2.6-3 python3-leather=0.3.4-2 \
  python3-pytimeparse=1.1.5-3 python3-slugify=4.0.0-2 python3-text-unidecode=1.3-1 python3-isodate=0.6.1-1 python3-six=1.16.0-4 python3-tz=2022.7.1-4
for package in *.deb; do dpkg -x "$package" root; done
csvjson() { PYTHONPATH=root/usr/lib/python3/dist-packages python3 -S -W ignore -c 'from csvkit.utilities.csvjson import launch_new_instance; launch_new_instance()' --stream "$@"; }
echo 'csvkit 1.0.7, agate 1.6.3'
value() { { echo 'n,prompt'; printf '1,%s\n' "$@"; } >in.csv; csvjson in.csv | sed 's/^.*"prompt": //; s/}$//' | paste -sd ' '; }
seen="$(value none N/A) | $(value '5 min' '3 min') | $(value yes no) | $(value '$5' '$7') | $(value 'next monday' tomorrow) | $(value 007 008)"
same=0
[ "$seen" = 'null null | "0:05:00" "0:03:00" | true false | 5.0 7.0 | "0001-01-08" "0001-01-02" | 7.0 8.0' ] || same=1
report '"none" "N/A" | "5 min" "3 min" | "yes" "no" | "$5" "$7" | "next monday" "tomorrow" | numbers at most' "$seen" $same
