#!/usr/bin/env bash
# @duckdb/node-api (npm) 1.5.6-r.1, DuckDB 1.5.6: custom_ids that look like a UUID or a time do not survive read_json().
# Strings are given types by their look. An upper-case UUID comes back in lower case, 2024-01-05T10:00:00Z as
# "2024-01-05 10:00:00", and where one id of the sample is a number, all string ids carry their JSON quotes ("\"a\""). After
# COPY ... (FORMAT json) none of them matches the request it belongs to.
# Matters for: joining results to requests by custom_id, the one thing that must not change.
# Conclusion: name the type: read_json(..., columns = {custom_id: 'VARCHAR', ...}).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @duckdb/node-api@1.5.6-r.1

cat >check.mjs <<'JS'
import { readFileSync, writeFileSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

for (const name of ['@duckdb/node-api']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const connection = await (await DuckDBInstance.create(':memory:')).connect();
const rows = async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson();

const ids = { uuid: ['550E8400-E29B-41D4-A716-446655440000'], time: ['2024-01-05T10:00:00Z'], mixed: ['a', 1] };
const seen = {};
for (const [name, values] of Object.entries(ids)) {
  writeFileSync('output.jsonl', values.map((custom_id) => `${JSON.stringify({ custom_id })}\n`).join(''));
  await connection.run("copy (select * from read_json('output.jsonl')) to 'copy.jsonl' (format json)");
  const copied = JSON.parse(readFileSync('copy.jsonl', 'utf8').split('\n')[0]).custom_id;
  const [first] = await rows("select custom_id::varchar as id from read_json('output.jsonl')");
  seen[name] = name === 'mixed' ? first.id : copied;
}
report(Object.values(ids).map((values) => values[0]).join(' | '), Object.values(seen).join(' | '),
  seen.uuid === '550e8400-e29b-41d4-a716-446655440000' && seen.time === '2024-01-05 10:00:00' && seen.mixed === '"a"');
JS
node check.mjs
