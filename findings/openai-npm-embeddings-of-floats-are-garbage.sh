#!/usr/bin/env bash
# openai (npm) 6.49.0: embeddings.create() returns garbage, without an error, when a server answers with plain numbers.
# Where the caller names no encoding_format, the client asks for base64 on its own and decodes whatever comes. A server
# that does not know base64 and sends [0.5, 0.25, ...], as the documents show it, has that list cut to bytes and read as
# floats: a vector of a quarter of the length with values near zero. A good guess is that an array is passed through.
# Matters for: embeddings from local model servers, mocks and gateways, and for vectors compared with those of a batch,
# whose lines carry plain numbers.
# Conclusion: always set encoding_format: 'float' with a server that is not OpenAI's; check the length of vectors.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact openai@6.49.0

cat >check.mjs <<'JS'
import http from 'node:http';
import OpenAI from 'openai';
import { readFileSync } from 'node:fs';
const version = JSON.parse(readFileSync('node_modules/openai/package.json')).version;
console.log(`openai ${version} on Node ${process.version}`);

async function stub(answer) {
  const requests = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (part) => { body += part; });
    request.on('end', () => { requests.push({ url: request.url, headers: request.headers, body, at: Date.now() }); answer(request, response, requests.length, body); });
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

const vector = [0.5, 0.25, 0.125, 1];
const server = await stub((request, response) => json(response, 200, { object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding: vector }] }));
const client = new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` });
const plain = (await client.embeddings.create({ model: 'm', input: 'text' })).data[0].embedding;
const float = (await client.embeddings.create({ model: 'm', input: 'text', encoding_format: 'float' })).data[0].embedding;
server.close();
report(`${vector} both times`, `by default ${plain}; with encoding_format 'float' ${float}; sent by default: ${server.requests[0].body}`,
  plain.length === 1 && plain[0] !== 0.5 && String(float) === String(vector));
JS
node check.mjs
