#!/usr/bin/env bash
# openai (npm) 6.49.0: batches.retrieve('') succeeds and returns the list of all batches as if it were a batch.
# The client refuses null, undefined and ".." as path parameters, but an empty string becomes GET /batches/, which most
# servers answer like GET /batches. A script whose BATCH_ID variable is empty gets an object without a status, and its
# loop "while status is not completed" never ends. Anthropic's client (1.14.0) refuses ''.
# Matters for: polling scripts; servers, which can tell the two apart by the slash.
# Conclusion: a batch server should answer GET /batches/ and /files/ with 404 and not with the list.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{ "private": true }' >package.json
nice npm install --silent --no-audit --no-fund --ignore-scripts --save-exact openai@6.49.0 @anthropic-ai/sdk@1.14.0

cat >check.mjs <<'JS'
import http from 'node:http';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
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

const server = await stub((request, response) => json(response, 200, { object: 'list', data: [], has_more: false }));
const client = new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1` });
const call = async (action) => { try { return JSON.stringify(await action()); } catch (error) { return `throws ${error.constructor.name}`; } };
const empty = await call(() => client.batches.retrieve(''));
const none = await call(() => client.batches.retrieve(undefined));
const other = await call(() => new Anthropic({ apiKey: 'key', baseURL: server.url }).messages.batches.retrieve(''));
server.close();
report('an empty id throws, as undefined does',
  `'' asks ${server.requests[0]?.url} and returns ${empty}; undefined ${none}; Anthropic's client with '' ${other}`,
  server.requests.length === 1 && server.requests[0].url === '/v1/batches/' && empty.includes('"list"') && none.startsWith('throws') && other.startsWith('throws'));
JS
node check.mjs
