#!/usr/bin/env bash
# csvtojson (npm) 2.0.14: a column named gpt-4.1 becomes a list in a column named gpt-4, and prompts lose their outer blanks.
# A dot in a header is a path to this package, and a number behind it an index: a table with a column for each model turns
# "gpt-4.1" into {"gpt-4": [null, "good"]}, and row["gpt-4.1"] is undefined. Unquoted values are trimmed, where RFC 4180 counts
# blanks as part of the field. Neither is announced.
# Matters for: prompts and evaluation tables that come from CSV.
# Conclusion: { flatKeys: true, trim: false } for such files.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact csvtojson@2.0.14

cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import csvtojson from 'csvtojson';

for (const name of ['csvtojson']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const csv = 'id,gpt-4.1,prompt\n1,good,  - indented\n';
const [row] = await csvtojson().fromString(csv);
const [flat] = await csvtojson({ flatKeys: true, trim: false }).fromString(csv);
report('{"id":"1","gpt-4.1":"good","prompt":"  - indented"}', `${JSON.stringify(row)}; with the options ${JSON.stringify(flat)}`,
  JSON.stringify(row['gpt-4']) === '[null,"good"]' && row.prompt === '- indented' && flat['gpt-4.1'] === 'good' && flat.prompt === '  - indented');
JS
node check.mjs
