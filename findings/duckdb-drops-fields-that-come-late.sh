#!/usr/bin/env bash
# @duckdb/node-api (npm) 1.5.6-r.1, DuckDB 1.5.6: read_json() drops fields that first appear after row 20,480, without a warning.
# Columns and the fields inside them are found in a sample of the first rows. A batch's output of 30,000 lines whose failures come
# late has no response.body.error at all: the failed rows look like answers without choices. A number column that was whole in the
# sample rounds later fractions. A good guess is an error, as there is when a later value does not fit its type.
# Matters for: results of batches, which list failures anywhere, analysed with SQL.
# Conclusion: read results with sample_size = -1, or take the columns as JSON: columns = {custom_id: 'VARCHAR', response: 'JSON'}.
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

const line = (index) => JSON.stringify({ custom_id: `r-${index}`, cost: index < 25_000 ? 1 : 0.4,
  response: index < 25_000 ? { status_code: 200, body: { choices: [{ text: 'ok' }] } } : { status_code: 400, body: { error: { message: 'too long' } } } });
writeFileSync('output.jsonl', Array.from({ length: 30_000 }, (_, index) => `${line(index)}\n`).join(''));
const [seen] = await rows("select any_value(response.body) as body, sum(cost) as cost from read_json('output.jsonl') where response.status_code = 400");
const [all] = await rows("select any_value(response.body.error.message) as message, sum(cost) as cost from read_json('output.jsonl', sample_size = -1) where response.status_code = 400");
report('5000 bodies with their error, cost 2000', `${JSON.stringify(seen)}; with sample_size = -1 ${JSON.stringify(all)}`,
  JSON.stringify(seen.body) === '{"choices":null}' && Number(seen.cost) === 0 && all.message === 'too long' && Math.abs(Number(all.cost) - 2000) < 0.001);
JS
node check.mjs
