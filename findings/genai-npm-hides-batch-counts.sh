#!/usr/bin/env bash
# @google/genai (npm) 2.32.0: a Gemini batch job read with batches.get() has no counts, and no results where only `response` has them.
# The service's operation carries metadata.batchStats (how many requests succeeded and failed) and, when it is done, the
# result in `response`. For the Gemini API the client copies neither: completionStats stays undefined, and `dest` is filled from
# metadata.output alone. A good guess is that a job which says JOB_STATE_SUCCEEDED shows both.
# Matters for: progress displays, and scripts that decide by failed counts: they see "succeeded" with half of the rows failed.
# Conclusion: ask the REST operation for batchStats; an emulator must put the output into metadata.output.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @google/genai@2.32.0

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { GoogleGenAI } from '@google/genai';

for (const name of ['@google/genai']) {
  console.log(`${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version} on Node ${process.version}`);
}

async function stub(answer) {
  const requests = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (part) => { body += part; });
    request.on('end', () => { requests.push({ method: request.method, url: request.url, headers: request.headers, body, at: Date.now() }); answer(request, response, requests.length, body); });
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close: () => { server.closeAllConnections(); server.close(); } };
}
const json = (response, status, value, headers) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
};
function report(expected, seen, asDescribed) {
  console.log(`Expected: ${expected}\nSeen:     ${seen}`);
  console.log(asDescribed ? 'As described.' : 'CHANGED: the behavior is no longer as described.');
  process.exit(asDescribed ? 0 : 1);
}

const output = { inlinedResponses: { inlinedResponses: [{ metadata: { key: 'a' }, error: { code: 3, message: 'bad' } }] } };
const operation = (where) => ({ name: 'batches/1', done: true, response: output, metadata: { name: 'batches/1', model: 'models/m', state: 'BATCH_STATE_SUCCEEDED',
  batchStats: { requestCount: '2', successfulRequestCount: '1', failedRequestCount: '1' }, ...(where === 'metadata' ? { output } : {}) } });
async function get(where) {
  const server = await stub((request, response) => json(response, 200, operation(where)));
  const job = await new GoogleGenAI({ apiKey: 'key', httpOptions: { baseUrl: server.url } }).batches.get({ name: 'batches/1' });
  server.close();
  return job;
}
const inResponse = await get('response');
const inMetadata = await get('metadata');
report('completionStats with 1 failed, and dest in both cases',
  `state ${inResponse.state}, completionStats ${JSON.stringify(inResponse.completionStats)}, "Count" anywhere: ${JSON.stringify(inMetadata).includes('Count')}, dest from response: ${JSON.stringify(inResponse.dest)}, dest from metadata.output: ${JSON.stringify(inMetadata.dest)}`,
  inResponse.state === 'JOB_STATE_SUCCEEDED' && inResponse.completionStats === undefined && !JSON.stringify(inMetadata).includes('Count') && inResponse.dest === undefined && inMetadata.dest !== undefined);
JS
node check.mjs
