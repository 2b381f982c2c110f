#!/usr/bin/env bash
# jsonrepair (npm) 3.15.0: a refusal becomes valid JSON, and a value that was cut off changes its type.
# The package is put behind models whose JSON breaks. Text without any JSON ("I cannot help with that.") comes back as a JSON
# string, so JSON.parse succeeds on what was no answer. {"ok": tru, cut at the token limit, becomes the string "tru"; {"price": -
# becomes -0; and two objects on two lines become one list. One guesses an exception, or the longest valid part.
# Matters for: the pass that collects results of a batch: rows that failed count as parsed.
# Conclusion: repair only where finish_reason is "stop", demand an object, and validate against the schema afterwards.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact jsonrepair@3.15.0

cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { jsonrepair } from 'jsonrepair';

for (const name of ['jsonrepair']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const values = ['I cannot help with that.', '{"ok": tru', '{"price": -', '{"id":1}\n{"id":2}'].map((text) => JSON.parse(jsonrepair(text)));
report('an exception, {"ok": true}, an exception, an exception', `${JSON.stringify(values)} (price is -0: ${Object.is(values[2].price, -0)})`,
  values[0] === 'I cannot help with that.' && values[1].ok === 'tru' && Object.is(values[2].price, -0) && Array.isArray(values[3]));
JS
node check.mjs
