#!/usr/bin/env bash
# @anthropic-ai/sdk (npm) 1.14.0: an API key travels as "Authorization: Bearer", not as x-api-key, with version 2026-10-21.
# Older descriptions, and emulators made after them, say x-api-key and anthropic-version: 2023-06-01. Since 1.0 the client sends
# neither, and by now batches.create of the beta namespace has lost its "?beta=true" and the message-batches beta header.
# Matters for: emulators, gateways and local services that take Anthropic's batches: one that looks for x-api-key answers
# 401 to every current client.
# Conclusion: accept the key in both headers, any anthropic-version, and the path with and without ?beta=true.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact @anthropic-ai/sdk@1.14.0

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import Anthropic from '@anthropic-ai/sdk';

for (const name of ['@anthropic-ai/sdk']) {
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

const server = await stub((request, response) => json(response, 200, { id: 'msgbatch_1', type: 'message_batch', processing_status: 'in_progress' }));
const client = new Anthropic({ apiKey: 'key', baseURL: server.url });
const params = { requests: [{ custom_id: 'a', params: { model: 'claude-haiku-4-5', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] } }] };
await client.messages.batches.create(params);
await client.beta.messages.batches.create(params);
server.close();
const [plain, beta] = server.requests;
report('x-api-key: key, anthropic-version: 2023-06-01, and /v1/messages/batches?beta=true for beta',
  `x-api-key: ${plain.headers['x-api-key']}, authorization: ${plain.headers.authorization}, anthropic-version: ${plain.headers['anthropic-version']}; beta asks ${beta.url} with anthropic-beta: ${beta.headers['anthropic-beta']}`,
  plain.headers['x-api-key'] === undefined && plain.headers.authorization === 'Bearer key' && plain.headers['anthropic-version'] === '2026-10-21'
  && beta.url === '/v1/messages/batches' && beta.headers['anthropic-beta'] === undefined);
JS
node check.mjs
