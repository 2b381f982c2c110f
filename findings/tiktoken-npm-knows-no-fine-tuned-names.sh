#!/usr/bin/env bash
# tiktoken (npm) 1.0.22: encoding_for_model() has no rule for names that begin with a known model.
# Python's tiktoken maps prefixes ("ft:gpt-4o", "gpt-4o-", "gpt-5-"), so people expect that a fine-tuned or a dated name works. The
# npm package of the same name has a plain list: "ft:gpt-4o-mini-2024-07-18:org::id" and every model newer than the package throw.
# Matters for: token estimates over batch files, whose lines name fine-tuned and dated models.
# Conclusion: map names to encodings by your own prefixes, and fall back to an estimate where none fits.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact tiktoken@1.0.22

cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { encoding_for_model } from 'tiktoken';

for (const name of ['tiktoken']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const call = (model) => { try { return encoding_for_model(model).name; } catch (error) { return error.message; } };
const known = call('gpt-4o-mini');
const tuned = call('ft:gpt-4o-mini-2024-07-18:org::id');
const newer = call('gpt-5.1');
report('o200k_base three times', [known, tuned, newer].join(' | '), known === 'o200k_base' && tuned.startsWith('Invalid model') && newer.startsWith('Invalid model'));
JS
node check.mjs
