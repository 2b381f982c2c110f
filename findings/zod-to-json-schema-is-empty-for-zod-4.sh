#!/usr/bin/env bash
# zod-to-json-schema (npm) 3.25.2 with zod 4.6.7: every schema becomes {} without an error.
# The package is the usual way from zod to a response_format. It reads the inner fields of zod 3; given a schema of zod 4, which
# `npm install zod` brings, it returns nothing but "$schema": a schema that allows everything. One would guess an exception.
# Matters for: structured output: with strict mode every line of a batch is refused, without it the answers are free text.
# Conclusion: use z.toJSONSchema() of zod 4; refuse a response schema that constrains nothing before a file is sent.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact zod-to-json-schema@3.25.2 zod@4.6.7

cat >check.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { zodToJsonSchema } from 'zod-to-json-schema';

for (const name of ['zod-to-json-schema', 'zod']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const schema = z.object({ label: z.enum(['a', 'b']), score: z.number() });
const old = zodToJsonSchema(schema);
const own = z.toJSONSchema(schema);
report('type object with label and score, or an exception', `${JSON.stringify(old)}; zod's own: required ${own.required}`,
  String(Object.keys(old)) === '$schema' && String(own.required) === 'label,score');
JS
node check.mjs
