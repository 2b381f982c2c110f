#!/usr/bin/env bash
# ai (npm) 6.0.326 with @ai-sdk/openai 3.0.141: embedMany() ignores `index`, and does not notice that an embedding is missing.
# The answer of /v1/embeddings says with `index` which input each vector belongs to. The SDK pairs by place: an answer in
# another order gives every text somebody else's vector, and one with fewer vectors shifts them. No error in either case,
# and both `embeddings` and `values` look complete. A good guess is that index is used, or at least the number checked.
# Matters for: embeddings through gateways and servers that work in parallel, and caches that are filled with them.
# Conclusion: a server must answer in the order of the inputs; a client should place by index and count.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact ai@6.0.326 @ai-sdk/openai@3.0.141

cat >check.mjs <<'JS'
import http from 'node:http';
import { readFileSync } from 'node:fs';
import { embedMany } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';

for (const name of ['ai', '@ai-sdk/openai']) {
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

const vector = (index, number) => ({ object: 'embedding', index, embedding: [number] });
async function embed(data) {
  const server = await stub((request, response) => json(response, 200, { object: 'list', model: 'm', data, usage: { prompt_tokens: 3, total_tokens: 3 } }));
  const { embeddings } = await embedMany({ model: createOpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` }).embeddingModel('m'), values: ['zero', 'one', 'two'] });
  server.close();
  return embeddings.flat();
}
const reversed = await embed([vector(2, 2), vector(1, 1), vector(0, 0)]);
const short = await embed([vector(1, 1), vector(2, 2)]);
report('0,1,2 for the answer in reverse order; an error for the one that lacks index 0', `${reversed} and ${short}`,
  String(reversed) === '2,1,0' && String(short) === '1,2');
JS
node check.mjs
