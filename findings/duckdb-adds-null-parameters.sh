#!/usr/bin/env bash
# @duckdb/node-api (npm) 1.5.6-r.1, DuckDB 1.5.6: requests that pass through read_json() and COPY gain
# every field that any other request has, as null.
# A column of objects has one type for all rows, so a file in which one line sets "tools" and another "seed" comes out with both in
# each, null where they were not. {"tools": null} is not the same request as one without tools.
# Matters for: filtering, sampling or deduplicating a batch file with SQL and writing it back as JSONL.
# Conclusion: read the body as text: read_json(..., columns = {custom_id: 'VARCHAR', body: 'JSON'}); then it is written as it was.
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

writeFileSync('in.jsonl', '{"custom_id":"a","body":{"model":"m","seed":1}}\n{"custom_id":"b","body":{"model":"m","tools":[{"type":"function"}]}}\n');
const copy = async (source) => {
  await connection.run(`copy (select * from ${source}) to 'out.jsonl' (format json)`);
  return readFileSync('out.jsonl', 'utf8').trim().split('\n').map((line) => JSON.stringify(JSON.parse(line).body));
};
const inferred = await copy("read_json('in.jsonl')");
const asJson = await copy("read_json('in.jsonl', columns = {custom_id: 'VARCHAR', body: 'JSON'})");
report('the bodies as they were', `${inferred.join(' ')}; as JSON ${asJson.join(' ')}`,
  inferred[0] === '{"model":"m","seed":1,"tools":null}' && inferred[1].includes('"seed":null') && asJson[0] === '{"model":"m","seed":1}');
JS
node check.mjs
