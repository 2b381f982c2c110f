#!/usr/bin/env bash
# groq-sdk (npm) 1.6.0: the base address that everybody knows for Groq, .../openai/v1, is wrong for Groq's own client.
# The client adds /openai/v1 to whatever it is given, so a baseURL that works with OpenAI's client asks
# /openai/v1/openai/v1/batches. It also means that the client cannot talk to any OpenAI-compatible service under /v1. And
# batches.list({ limit }) takes the filter for request options and drops it: there are no parameters and no paging.
# Matters for: configuration shared between clients (GROQ_BASE_URL against OPENAI_BASE_URL), local services, tests.
# Conclusion: one configured address cannot serve both clients; a local service for Groq's client must answer under /openai/v1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact groq-sdk@1.6.0

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import Groq from 'groq-sdk';

for (const name of ['groq-sdk']) {
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

const server = await stub((request, response) => json(response, 200, { object: 'list', data: [] }));
await new Groq({ apiKey: 'key', baseURL: `${server.url}/openai/v1` }).batches.retrieve('batch_1');
await new Groq({ apiKey: 'key', baseURL: server.url }).batches.list({ limit: 1 });
server.close();
const urls = server.requests.map((request) => request.url);
report('/openai/v1/batches/batch_1 and ?limit=1', urls.join(' and '), urls[0] === '/openai/v1/openai/v1/batches/batch_1' && urls[1] === '/openai/v1/batches');
JS
node check.mjs
