#!/usr/bin/env bash
# openai (npm) 6.49.0: a list without has_more ends after its first page, without a word.
# `for await (const batch of client.batches.list())` reads pages until the service says that there are no more. Where
# the service leaves has_more out, or sends null, the client takes it for false. The natural guess is that it goes on
# until a page is empty, as it does for models of pagination without that field.
# Matters for: OpenAI-compatible services and mocks: everything after the first 20 batches or files is invisible.
# Conclusion: an answer of ours always carries has_more; a reader of foreign lists should not trust its absence.
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

const pages = [['batch_4', 'batch_3'], ['batch_2', 'batch_1']];
const counts = {};
for (const [name, more] of [['true/false', (left) => ({ has_more: left })], ['missing', () => ({})], ['null', () => ({ has_more: null })]]) {
  const server = await stub((request, response) => {
    const page = new URL(request.url, 'http://x').searchParams.has('after') ? 1 : 0;
    json(response, 200, { object: 'list', data: pages[page].map((id) => ({ id, object: 'batch' })), ...more(page === 0) });
  });
  counts[name] = 0;
  for await (const batch of new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` }).batches.list({ limit: 2 })) {
    counts[name] += 1;
  }
  server.close();
}
report('4 batches each time', `has_more true/false: ${counts['true/false']}, missing: ${counts.missing}, null: ${counts.null}`,
  counts['true/false'] === 4 && counts.missing === 2 && counts.null === 2);
JS
node check.mjs
