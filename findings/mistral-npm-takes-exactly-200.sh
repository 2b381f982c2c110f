#!/usr/bin/env bash
# @mistralai/mistralai (npm) 2.7.0: a batch job answered with 201, and results served as application/jsonl, are errors.
# The client matches status and Content-Type of its specification to the letter. A job that a server has created and
# answered with "201 Created" raises SDKError (the job runs, and its id is only in the text of the error), and a result
# file must be application/octet-stream: application/jsonl, text/plain or no type at all fail with the data in the message.
# Unknown statuses of jobs are accepted, on the other hand, which many would expect to fail.
# Matters for: emulators, gateways that rewrite types, and retries that then create the job twice.
# Conclusion: an emulator answers 200 and application/octet-stream here; a client of ours takes any 2xx and any type.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @mistralai/mistralai@2.7.0

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { Mistral } from '@mistralai/mistralai';

for (const name of ['@mistralai/mistralai']) {
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

const job = { id: 'job-1', object: 'batch', input_files: ['f'], metadata: null, endpoint: '/v1/chat/completions', model: 'm', errors: [], status: 'PAUSED_BY_ADMIN', created_at: 1, total_requests: 1, completed_requests: 0, succeeded_requests: 0, failed_requests: 0 };
async function call(answer, use) {
  const server = await stub(answer);
  const outcome = await use(new Mistral({ apiKey: 'key', serverURL: server.url })).then((value) => value.status ?? 'read', (error) => `${error.constructor.name} ${error.statusCode}`);
  server.close();
  return outcome;
}
const create = (client) => client.batch.jobs.create({ inputFiles: ['f'], endpoint: '/v1/chat/completions', model: 'm' });
const download = async (client) => new Response(await client.files.download({ fileId: 'f' })).text().then(() => ({}));
const ok = await call((request, response) => json(response, 200, job), create);
const created = await call((request, response) => json(response, 201, job), create);
const octets = await call((request, response) => { response.writeHead(200, { 'content-type': 'application/octet-stream' }); response.end('{}\n'); }, download);
const jsonl = await call((request, response) => { response.writeHead(200, { 'content-type': 'application/jsonl' }); response.end('{}\n'); }, download);
report('201 counts as created, and a download does not look at the type',
  `200 with an unknown status: ${ok}; 201: ${created}; octet-stream: ${octets}; application/jsonl: ${jsonl}`,
  ok === 'PAUSED_BY_ADMIN' && created === 'SDKError 201' && octets === 'read' && jsonl === 'SDKError 200');
JS
node check.mjs
