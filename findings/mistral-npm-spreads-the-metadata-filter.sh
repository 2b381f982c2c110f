#!/usr/bin/env bash
# @mistralai/mistralai (npm) 2.7.0: the filter list({ metadata: { team: 'a' } }) is sent as the query parameter team=a.
# The natural guesses are metadata={"team":"a"} or metadata[team]=a. The client spreads the object over the query, so the
# word "metadata" is nowhere, and a key named like a parameter of the list, such as "model", is indistinguishable from it.
# Matters for: emulators that filter jobs, and metadata keys chosen without this in mind.
# Conclusion: an emulator has to take unknown query parameters for metadata; keys should not be named model, page or status.
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

const server = await stub((request, response) => json(response, 200, { object: 'list', data: [], total: 0 }));
const jobs = new Mistral({ apiKey: 'key', serverURL: server.url }).batch.jobs;
await jobs.list({ metadata: { team: 'a', model: 'not a model' } });
server.close();
const query = new URL(server.requests[0].url, 'http://x').searchParams;
report('a parameter named metadata', String(query), query.get('team') === 'a' && query.get('model') === 'not a model' && ![...query.keys()].some((key) => key.startsWith('metadata')));
JS
node check.mjs
