#!/usr/bin/env bash
# partial-json (npm) 0.1.7: text that is wrong, not only cut off, is cut at the error and returned as if it were complete.
# It is meant for answers that end too early, and throws for text that begins badly. An error after the beginning looks like an
# end to it: Python's True, an unquoted date or an unescaped quote give an object without the rest, and {"price": 12 gives 12 whatever
# digits would have followed. Nothing says that a part is missing.
# Matters for: reading structured output of local models: fields vanish instead of an error.
# Conclusion: try JSON.parse first; use this only where finish_reason is "length", and then treat every last value as doubtful.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact partial-json@0.1.7

cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { parse } from 'partial-json';

for (const name of ['partial-json']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const values = ['{"spam": True, "score": 3}', '{"title": "the "big" one", "score": 3}', '{"price": 12'].map((text) => parse(text));
report('exceptions for the first two, {} for the third', JSON.stringify(values),
  JSON.stringify(values) === '[{},{"title":"the "},{"price":12}]');
JS
node check.mjs
